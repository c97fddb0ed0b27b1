"""`make demo`: train the tiny model for a minute, evaluate, export and use it, on procedural audio.

    python -m tonezoo.recipes.demo demo

Leaves in the folder: run/ (the training run), model/ (the exported model), input.wav, spline.wav,
output.wav and target.wav of a clip that was not trained on, spectrograms.png, and the evaluation's
table.
"""

import shutil
import sys
from pathlib import Path

TRAINING_MINUTES = 1.0
RECIPE = "mu_gan_tiny"


def main(folder: str | Path, minutes: float = TRAINING_MINUTES) -> None:
    """Runs the demo into a folder; what an earlier demo left there is replaced."""
    from tonezoo.cli import import_tensorflow

    folder = Path(folder)
    for part in ("run", "model"):
        shutil.rmtree(folder / part, ignore_errors=True)
    import_tensorflow()
    from tonezoo.export import export, load, verify
    from tonezoo.recipes.evaluate import evaluate_model
    from tonezoo.recipes.runner import TrainingRequest, train

    print(f"Training {RECIPE} for {minutes:g} min on the procedural corpus ...", flush=True)
    train(TrainingRequest(recipe=RECIPE, run=folder / "run", max_minutes=minutes))
    print("Evaluating ...", flush=True)
    evaluation = evaluate_model(folder / "run", out=folder)
    evaluation.print()
    export(folder / "run", folder / "model", data_licence="procedural, made by tonezoo")
    verify(folder / "model")
    write_example(folder, load(folder / "model"))
    print(f"Listen to {folder}/input.wav and {folder}/output.wav; see {folder}/spectrograms.png.")


def write_example(folder: Path, model) -> None:
    """Writes audio and spectrograms of one procedural clip that was not trained on."""
    from tonezoo.analysis.spectrogram import save_spectrograms
    from tonezoo.audio_writer import AudioWriter
    from tonezoo.recipes.corpus import procedural_corpus
    from tonezoo.resampling import decimate, upsample_spline

    (target,) = procedural_corpus(seed=1, clips=1).values()
    low = decimate(target, model.ratio)
    spline = upsample_spline(low, model.ratio)
    output = model.enhance(low, model.low_rate_hz)
    for name, signal, rate_hz in (
        ("input", low, round(model.low_rate_hz)),
        ("spline", spline, model.sample_rate_hz),
        ("output", output, model.sample_rate_hz),
        ("target", target, model.sample_rate_hz),
    ):
        with AudioWriter(folder / f"{name}.wav", rate_hz, channels=1, bit_depth="16") as file:
            file.write(signal[:, None])
    panels = {"spline": spline, "output": output, "target": target}
    save_spectrograms(folder / "spectrograms.png", panels, model.sample_rate_hz)


if __name__ == "__main__":
    main(sys.argv[1])
