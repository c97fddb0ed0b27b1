"""Scaling signals by a gain: the smallest task there is."""

import dataclasses

import numpy as np

from tonezoo.tasks.base import Facts, NoOptions, Task, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScaleOptions(NoOptions):
    """What `tonezoo scale` takes."""

    twice: bool = option(False, "Scale by the gain's square.", flag="--twice")


class Scaler:
    """Runs a gain on signals (time, channels)."""

    task = "scaling"

    def __init__(self, call, facts: Facts, name: str):
        self.name, self.sample_rate_hz = name, facts.sample_rate_hz
        self._call = call

    def scale(self, samples: np.ndarray, times: int = 1) -> np.ndarray:
        # (time, channels) -> (channels, time, 1) -> (time, channels)
        signals = samples.astype("float32").T[..., None]
        for _ in range(times):
            signals = self._call(signals)
        return np.asarray(signals)[..., 0].T


class Scaling(Task):
    name = title = "scaling"
    verb, doing, done = "scale", "scaling", "scaled"
    help = "Scale audio files by a gain."
    file_options = ScaleOptions

    def describe(self, model):
        return {}

    def signatures(self, model):
        import tensorflow as tf

        spec = tf.TensorSpec((None, None, model.channels), tf.float32, name="waveform")

        @tf.function(input_signature=[spec])
        def serving_default(waveform):
            return {"waveform": model(waveform, training=False)}

        return {"serving_default": serving_default}

    def output(self, outputs, facts):
        return np.asarray(outputs["waveform"])

    def golden_samples(self, model):
        return 11

    def engine(self, call, facts, name):
        return Scaler(call, facts, name)

    def process_files(self, paths, out_dir, engine, options, *, format, bit_depth, console):
        from tonezoo.audio.jobs import plan_outputs, process_files
        from tonezoo.audio.reader import AudioReader
        from tonezoo.audio.writer import AudioWriter

        def work(result, advance):
            with AudioReader(result.path) as audio:
                rate_hz = audio.sample_rate_hz
                with AudioWriter(
                    result.output, rate_hz, audio.channels, format=format, bit_depth=bit_depth
                ) as writer:
                    for block in audio.blocks():
                        writer.write(engine.scale(block, 1 + options.twice))
                        result.seconds += len(block) / rate_hz
                        advance(result.seconds)

        plan = plan_outputs(paths, out_dir, lambda stem: f"{stem}.{format}")
        return process_files(plan, work, console=console, doing=self.doing)

    def evaluate(self, path, engine, options, *, data, out, report, progress):
        from tonezoo.analysis.metrics import METRICS, snr_db
        from tonezoo.analysis.scores import Scores
        from tonezoo.tasks.evaluation_data import output_folder

        # What the recipe learns: three times the input.
        noise = np.random.default_rng(1).standard_normal(1000)
        rows = [engine.scale(noise[:, None])[:, 0], noise]
        scores = Scores(
            title=engine.name,
            rows=(engine.name, "input"),
            items=("noise",),
            metrics={"snr_db": METRICS["snr_db"]},
            values=np.array([[[snr_db(3 * noise, row)]] for row in rows]),
        )
        written = scores.write(output_folder(path, engine.name, out))
        report(f"Wrote {written[0]} and {written[1]}.")
        return scores


TASK = Scaling()
