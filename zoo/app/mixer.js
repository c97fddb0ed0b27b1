// <tonezoo-mixer>: plays the stems inside it in step, sample by sample, each with mute and solo.
class Mixer extends HTMLElement {
  connectedCallback() {
    this.stems = [...this.querySelectorAll("[data-stem]")].map((figure) => ({
      url: figure.querySelector("a[download]").href,
      mute: figure.querySelector("[data-mute]"),
      solo: figure.querySelector("[data-solo]"),
    }));
    this.playButton = this.querySelector("[data-play]");
    this.seek = this.querySelector("[data-seek]");
    this.time = this.querySelector("[data-time]");
    this.position = 0; // seconds, while nothing plays
    this.starting = this.playing = false;
    this.playButton.onclick = () => (this.playing ? this.pause() : this.play());
    this.seek.oninput = () => this.moveTo(Number(this.seek.value));
    for (const stem of this.stems) {
      for (const button of [stem.mute, stem.solo]) {
        button.onclick = () => {
          button.ariaPressed = String(button.ariaPressed !== "true");
          this.setGains();
        };
      }
    }
    this.load();
  }

  disconnectedCallback() {
    cancelAnimationFrame(this.frame);
    this.context?.close();
  }

  async load() {
    try {
      this.context = new AudioContext();
      await Promise.all(
        this.stems.map(async (stem) => {
          const answer = await fetch(stem.url);
          stem.buffer = await this.context.decodeAudioData(await answer.arrayBuffer());
          stem.gain = this.context.createGain();
          stem.gain.connect(this.context.destination);
        }),
      );
    } catch (error) {
      if (this.isConnected) this.playButton.textContent = `Cannot be played: ${error.message}`;
      return;
    }
    this.duration = Math.max(...this.stems.map((stem) => stem.buffer.duration));
    this.setGains();
    this.playButton.textContent = "Play all";
    this.playButton.disabled = false;
  }

  // A stem is heard if it is not muted and, where any has solo, has solo.
  setGains() {
    const pressed = (button) => button.ariaPressed === "true";
    const anySolo = this.stems.some((stem) => pressed(stem.solo));
    for (const stem of this.stems) {
      const heard = !pressed(stem.mute) && (!anySolo || pressed(stem.solo));
      if (stem.gain) stem.gain.gain.value = heard ? 1 : 0;
    }
  }

  async play() {
    // Until it sounds, another click would start every stem once more.
    if (this.starting) return;
    this.starting = true;
    await this.context.resume(); // browsers start audio at a click only
    this.starting = false;
    if (this.position >= this.duration) this.position = 0;
    this.startedAt = this.context.currentTime + 0.05;
    for (const stem of this.stems) {
      stem.source = this.context.createBufferSource();
      stem.source.buffer = stem.buffer;
      stem.source.connect(stem.gain);
      stem.source.start(this.startedAt, this.position);
    }
    this.playing = true;
    this.playButton.textContent = "Pause";
    this.show();
  }

  pause() {
    this.position = this.now();
    this.playing = false;
    for (const stem of this.stems) stem.source.stop();
    this.playButton.textContent = "Play all";
    cancelAnimationFrame(this.frame);
  }

  moveTo(seconds) {
    const wasPlaying = this.playing;
    if (wasPlaying) this.pause();
    this.position = seconds;
    this.showTime(seconds);
    if (wasPlaying) this.play();
  }

  now() {
    if (!this.playing) return this.position;
    const passed = Math.max(0, this.context.currentTime - this.startedAt);
    return Math.min(this.position + passed, this.duration);
  }

  show() {
    const now = this.now();
    this.seek.value = now;
    this.showTime(now);
    if (now >= this.duration) this.pause();
    else this.frame = requestAnimationFrame(() => this.show());
  }

  showTime(seconds) {
    const whole = Math.floor(seconds);
    this.time.textContent = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  }
}

customElements.define("tonezoo-mixer", Mixer);
