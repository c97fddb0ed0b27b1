"""What the separation recipes share: configuration, batches, model and training phase."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from tonezoo.recipes.data.stems import StemAugmentation
from tonezoo.recipes.experiment import Experiment, Phase

# The network and the phase that a run is about.
TRAINED = "separator"
DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Options of a separation run; defaults are those of the upsampling paper's Table 1.

    Attributes:
        model: registry name of the model.
        preset: its preset.
        upsampler: kind of its upsampling layers; None for the preset's.
        modified: True for no ReLU in the first block and no biases; None for the preset's.
        sources: names of the sources, separated by commas: the files of a track.
        sample_rate_hz: rate of the model; tracks at others are resampled.
        channels: channels of the model.
        layout: how the data folder is split (see `tonezoo.recipes.data.tracks`).
        segment_s: length of an example, rounded up to what the model's strides divide.
        crop_stride_s: an epoch has as many examples as there are crops so far apart.
        shift_s: sources start up to this much later, each by itself.
        flip, swap, gain, remix_group: see `tonezoo.recipes.data.stems.StemAugmentation`.
        batch_size: examples per replica; the global batch is batch_size * replicas.
        epochs: passes over the crops.
        steps_per_epoch: steps of an epoch in place of those; None for these.
        learning_rate, beta_1, beta_2: of Adam.
        dtype: Keras dtype policy, "float32", "mixed_bfloat16" or "mixed_float16" (whose gradients
            are scaled). Evaluation and export use float32.
        tracks, track_s: number and length of the procedural tracks, without a data folder.
        seed: of initial weights and batches.
        deterministic: True for bit-identical repetition on one machine, somewhat slower.
        cache_dir: folder for decoded tracks; None to keep them in memory.
        checkpoint_steps: steps between checkpoints; one is written where training ends in any case.

    Raises:
        ValueError: a number out of its range.
    """

    model: str = "demucs"
    preset: str = "table1_transposed"
    upsampler: str | None = None
    modified: bool | None = None
    sources: str = "drums,bass,other,vocals"
    sample_rate_hz: int = 44_100
    channels: int = 2
    layout: str = "auto"
    segment_s: float = 10.0
    crop_stride_s: float = 1.0
    shift_s: float = 1.0
    flip: bool = True
    swap: bool = True
    gain: bool = False
    remix_group: int = 4
    batch_size: int = 8
    epochs: int = 600
    steps_per_epoch: int | None = None
    learning_rate: float = 2e-4
    beta_1: float = 0.9
    beta_2: float = 0.999
    dtype: str = "float32"
    tracks: int = 32
    track_s: float = 12.0
    seed: int = 0
    deterministic: bool = False
    cache_dir: str | None = None
    checkpoint_steps: int = 500

    def __post_init__(self):
        for name in (
            *("sample_rate_hz", "channels", "batch_size", "epochs", "steps_per_epoch"),
            *("tracks", "checkpoint_steps"),
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, but is {value}.")
        for name, value in asdict(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, but is {value}.")
        for name in ("segment_s", "crop_stride_s", "learning_rate", "track_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, but is {getattr(self, name)}.")
        for name in ("beta_1", "beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 0 and below 1, but is {getattr(self, name)}."
                )
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, but is {self.seed}.")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {DTYPES}, but is {self.dtype!r}.")
        if not all(self.source_names) or len(set(self.source_names)) < len(self.source_names):
            raise ValueError(
                f"sources must be different names, separated by commas, but is {self.sources!r}."
            )
        self.augmentation  # noqa: B018 - raises where its numbers are out of range

    @property
    def source_names(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.sources.split(","))

    @property
    def augmentation(self) -> StemAugmentation:
        return StemAugmentation(
            flip=self.flip,
            swap=self.swap,
            shift_samples=round(self.shift_s * self.sample_rate_hz),
            gain=self.gain,
            remix_group=self.remix_group,
        )


def run_name(recipe: str, cfg: Config) -> str:
    """Returns the default name of a run of a recipe."""
    return recipe


def find_data(cfg: Config, root, hold_out=()):
    """Returns the tracks of a folder, split as the configuration says."""
    from tonezoo.recipes.data.tracks import find_tracks

    return find_tracks(root, sources=cfg.source_names, layout=cfg.layout, hold_out=hold_out)


def dataset(cfg: Config, clips, report=print):
    """Returns the source of batches of the training tracks.

    Args:
        clips: `tonezoo.recipes.data.layouts.Clips` of tracks, or None for the procedural corpus.
        report: called with a line for each track that is skipped.
    """
    from tonezoo.recipes.data.stems import arrays_source, tracks_source

    if clips is None:
        return arrays_source(
            procedural_tracks(cfg, seed=cfg.seed, tracks=cfg.tracks),
            sources=cfg.source_names,
            sample_rate_hz=cfg.sample_rate_hz,
        )
    return tracks_source(
        clips.train,
        sources=cfg.source_names,
        sample_rate_hz=cfg.sample_rate_hz,
        channels=cfg.channels,
        cache_dir=None if cfg.cache_dir is None else Path(cfg.cache_dir),
        report=report,
    )


def procedural_tracks(cfg: Config, *, seed: int, tracks: int) -> dict:
    """Returns name -> source -> (time, channels) of procedural tracks.

    Raises:
        ValueError: the configuration names sources that the corpus does not have.
    """
    from tonezoo.recipes.corpus.songs import procedural_stems
    from tonezoo.recipes.data.tracks import fit_channels
    from tonezoo.tasks.separation.engine import SOURCES

    foreign = sorted(set(cfg.source_names) - set(SOURCES))
    if foreign:
        raise ValueError(
            f"The procedural corpus has no {', '.join(foreign)}, only {', '.join(SOURCES)}"
            ". Give a folder of tracks with --data."
        )
    corpus = procedural_stems(
        seed=seed, tracks=tracks, track_s=cfg.track_s, sample_rate_hz=cfg.sample_rate_hz
    )
    return {
        name: {s: fit_channels(stems[s], cfg.channels, name) for s in cfg.source_names}
        for name, stems in corpus.items()
    }


def new_model(cfg: Config, dtype: str = "float32"):
    """Returns the model of a configuration, built."""
    from tonezoo.registry import create_model

    options = {name: getattr(cfg, name) for name in ("upsampler", "modified")}
    model = create_model(
        cfg.model,
        preset=cfg.preset,
        sources=cfg.source_names,
        channels=cfg.channels,
        sample_rate_hz=cfg.sample_rate_hz,
        dtype=dtype,
        **{name: value for name, value in options.items() if value is not None},
    )
    model.build((None, None, cfg.channels))
    return model


def build(cfg: Config, source, replicas: int) -> Experiment:
    """Returns the model, its optimizer and the phase of a run; inside the strategy's scope."""
    import keras

    from tonezoo.training import SupervisedTrainer

    model = new_model(cfg, cfg.dtype)
    segment_samples = model.valid_length(round(cfg.segment_s * cfg.sample_rate_hz))
    batch_size = cfg.batch_size * replicas
    augmentation = cfg.augmentation
    crops = source.crop_count(
        segment_samples + augmentation.shift_samples,
        max(1, round(cfg.crop_stride_s * cfg.sample_rate_hz)),
    )
    trainer = SupervisedTrainer(model)
    trainer.compile(keras.optimizers.Adam(cfg.learning_rate, beta_1=cfg.beta_1, beta_2=cfg.beta_2))
    phase = Phase(
        name=TRAINED,
        model=trainer,
        steps_per_epoch=cfg.steps_per_epoch or math.ceil(crops / batch_size),
        epochs=cfg.epochs,
        time_share=1.0,
        dataset=lambda step: source.batches(
            segment_samples=segment_samples,
            target_samples=model.output_length(segment_samples),
            batch_size=batch_size,
            seed=cfg.seed,
            start_step=step,
            augmentation=augmentation,
        ),
    )
    return Experiment(
        phases=[phase],
        networks={TRAINED: model},
        optimizers=[trainer.optimizer],
        global_batch=batch_size,
        data_fingerprint=source.fingerprint,
        start=lambda: None,
    )


def preview(cfg: Config, clips, report=print):
    """Returns the `StemPreview` of a track that is not trained on, None where there is none."""
    from tonezoo.recipes.data.tracks import read_track, track_name
    from tonezoo.recipes.preview import StemPreview

    if clips is None:
        tracks = procedural_tracks(cfg, seed=cfg.seed + 1, tracks=1)
        stems = {name: list(by_source.values()) for name, by_source in tracks.items()}
    else:
        stems = {}
        for path in clips.test[:1]:
            try:
                stems[track_name(Path(path.name))] = read_track(
                    path,
                    sources=cfg.source_names,
                    sample_rate_hz=cfg.sample_rate_hz,
                    channels=cfg.channels,
                    report=report,
                )
            except ValueError as error:
                report(f"No preview: {error}")
    return StemPreview(stems, sources=cfg.source_names, sample_rate_hz=cfg.sample_rate_hz)
