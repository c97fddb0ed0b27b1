"""Recipes of source separation: configuration, data, model and training phase."""

import functools
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tonezoo.recipes.base import BaseConfig
from tonezoo.recipes.config import check_above, check_at_least
from tonezoo.recipes.data.layouts import DataSplit
from tonezoo.recipes.data.stems import NONE, StemAugmentation, StemSource
from tonezoo.recipes.experiment import Experiment

# Batches by whose spectra the inputs of a model are scaled, where it has such a scaling.
ADAPT_BATCHES = 16


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    """Options of a separation run; defaults are those of the upsampling paper's Table 1.

    Those that every run has are described in `BaseConfig`.

    Attributes:
        upsampler: kind of the model's upsampling layers; None for the preset's.
        modified: True for no ReLU in the first block and no biases; None for the preset's.
        share_window_samples: window in whose spectrum a Demucs's sources share the mixture; None
            for the preset's.
        sources: names of the sources, separated by commas: the files of a track.
        sample_rate_hz: rate of the model; tracks at others are resampled.
        channels: channels of the model.
        layout: how the data folder is split (see `tonezoo.recipes.data.tracks`).
        segment_s: length of an example, rounded up to what the model's strides divide.
        crop_stride_s: an epoch has as many examples as there are crops so far apart.
        shift_s: sources start up to this much later, each by itself.
        loss: between the estimated and the true sources, one of LOSSES.
        flip, swap, gain, least_gain, largest_gain, max_speed_change, equaliser_db, remix_group,
            fill_silence: see `tonezoo.recipes.data.stems.StemAugmentation`.
        tracks, track_s: number and length of the procedural tracks, without a data folder.

    Raises:
        ValueError: a number out of its range.
    """

    MAIN_NETWORK: ClassVar[str] = "separator"
    LOSSES: ClassVar[tuple[str, ...]] = ("mean_absolute_error", "mean_squared_error")

    model: str = "demucs"
    preset: str = "table1_transposed"
    epochs: int = 600
    learning_rate: float = 2e-4
    upsampler: str | None = None
    modified: bool | None = None
    share_window_samples: int | None = None
    sources: str = "drums,bass,other,vocals"
    sample_rate_hz: int = 44_100
    channels: int = 2
    layout: str = "auto"
    segment_s: float = 10.0
    crop_stride_s: float = 1.0
    shift_s: float = 1.0
    loss: str = "mean_absolute_error"
    flip: bool = True
    swap: bool = True
    gain: bool = False
    least_gain: float = 0.25
    largest_gain: float = 1.25
    max_speed_change: float = 0.0
    equaliser_db: float = 0.0
    remix_group: int = 4
    fill_silence: float = 0.0
    tracks: int = 32
    track_s: float = 12.0

    def __post_init__(self):
        super().__post_init__()
        check_at_least(self, 1, "sample_rate_hz", "channels", "tracks")
        check_above(self, 0, "segment_s", "crop_stride_s", "track_s")
        if not all(self.source_names) or len(set(self.source_names)) < len(self.source_names):
            raise ValueError(
                f"sources must be different names, separated by commas, but is {self.sources!r}."
            )
        if self.loss not in self.LOSSES:
            raise ValueError(f"loss must be one of {self.LOSSES}, but is {self.loss!r}.")
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
            least_gain=self.least_gain,
            largest_gain=self.largest_gain,
            max_speed_change=self.max_speed_change,
            equaliser_db=self.equaliser_db,
            remix_group=self.remix_group,
            fill_silence=self.fill_silence,
        )

    @property
    def model_options(self) -> dict[str, Any]:
        names = ("upsampler", "modified", "share_window_samples")
        replaced = {name: getattr(self, name) for name in names}
        return {
            "sources": self.source_names,
            "channels": self.channels,
            "sample_rate_hz": self.sample_rate_hz,
            **{name: value for name, value in replaced.items() if value is not None},
        }

    def find_data(self, root: str | Path, hold_out: Iterable[str] = ()) -> DataSplit:
        from tonezoo.recipes.data.tracks import find_tracks

        return find_tracks(root, sources=self.source_names, layout=self.layout, hold_out=hold_out)

    def data_source(
        self, split: DataSplit | None, report: Callable[[str], Any] = print
    ) -> StemSource:
        """Returns the source of batches of the training tracks, or of procedural ones."""
        from tonezoo.recipes.data.stems import arrays_source, tracks_source

        if split is None:
            return arrays_source(
                procedural_tracks(self, seed=self.seed, tracks=self.tracks),
                sources=self.source_names,
                sample_rate_hz=self.sample_rate_hz,
            )
        return tracks_source(
            split.train,
            sources=self.source_names,
            sample_rate_hz=self.sample_rate_hz,
            channels=self.channels,
            cache_dir=self.cache_path,
            report=report,
        )

    def build(self, source: StemSource, replicas: int) -> Experiment:
        from tonezoo.training import SupervisedTrainer

        model = self.new_model(self.dtype)
        average = self.average_network()
        trainer = SupervisedTrainer(model, average=average)
        trainer.compile(self.adam(self.halving_steps), loss=self.loss)
        segment_samples = model.valid_length(round(self.segment_s * self.sample_rate_hz))
        augmentation = self.augmentation
        crops = source.crop_count(
            augmentation.source_samples(segment_samples),
            max(1, round(self.crop_stride_s * self.sample_rate_hz)),
        )
        lengths = {
            "segment_samples": segment_samples,
            "target_samples": model.output_length(segment_samples),
        }

        batches = functools.partial(source.batches, augmentation=augmentation, **lengths)

        def prepare():
            if self.start_from is None and hasattr(model, "adapt"):
                first = iter(batches(batch_size=self.batch_size, seed=self.seed))
                model.adapt(mixture for mixture, _ in itertools.islice(first, ADAPT_BATCHES))

        def validation(held_out: StemSource):
            return self.first_batches(
                held_out.batches(
                    batch_size=self.batch_size, seed=self.seed, augmentation=NONE, **lengths
                )
            )

        return self.one_phase(
            source,
            replicas,
            network=model,
            trainer=trainer,
            examples=crops,
            batches=batches,
            prepare=prepare,
            average=average,
            validation=validation,
        )

    def preview(self, split: DataSplit | None, report: Callable[[str], Any] = print):
        """Returns the `StemPreview` of a track that is not trained on, if there is one."""
        from tonezoo.recipes.preview import StemPreview

        if split is None:
            tracks = procedural_tracks(self, seed=self.seed + 1, tracks=1)
            stems = {name: np.stack(list(stems.values())) for name, stems in tracks.items()}
        else:
            stems = self._first_track(split.test, report)
        return StemPreview(stems, sources=self.source_names, sample_rate_hz=self.sample_rate_hz)

    def _first_track(self, paths, report) -> dict[str, np.ndarray]:
        """Returns the first of some tracks by name, nothing where it cannot be used."""
        from tonezoo.recipes.data.tracks import read_track, track_name

        for path in paths[:1]:
            try:
                stems = read_track(
                    path,
                    sources=self.source_names,
                    sample_rate_hz=self.sample_rate_hz,
                    channels=self.channels,
                    report=report,
                )
            except ValueError as error:
                report(f"No preview: {error}")
            else:
                return {track_name(Path(path.name)): stems}
        return {}


def procedural_tracks(cfg: Config, *, seed: int, tracks: int) -> dict:
    """Returns name -> source -> (time, channels) of procedural tracks.

    Raises:
        ValueError: the configuration names sources that the corpus does not have.
    """
    from tonezoo.audio import SOURCES
    from tonezoo.recipes.corpus.songs import procedural_stems
    from tonezoo.recipes.data.tracks import fit_channels

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
