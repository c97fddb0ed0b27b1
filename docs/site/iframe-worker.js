// Search runs in a worker, which browsers refuse to pages from the disk: there, a frame takes its
// place. Material for MkDocs takes this file, by its name, for the script that it would otherwise
// load from another host.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.ready = new Promise((resolve) => {
        document.body.append(this.frame);
        const inside = this.frame.contentWindow;
        this.deliver = (data) => inside.dispatchEvent(new MessageEvent("message", { data }));
        inside.postMessage = (data) =>
          this.dispatchEvent(new MessageEvent("message", { data: structuredClone(data) }));
        inside.importScripts = () => {};
        const script = inside.document.createElement("script");
        script.src = new URL(url, location.href);
        script.onload = resolve;
        inside.document.body.append(script);
      });
    }

    postMessage(data) {
      this.ready.then(() => this.deliver(structuredClone(data)));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
