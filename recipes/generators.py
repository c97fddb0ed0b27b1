"""What recipes of generators of waveforms share: patches, augmentation, loss terms."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tonezoo.recipes.base import BaseConfig
from tonezoo.recipes.config import check_at_least
from tonezoo.recipes.data.augmentation import Augmentation
from tonezoo.recipes.data.layouts import DataSplit
from tonezoo.recipes.data.patches import PatchSource
from tonezoo.training.loss_terms import (
    CRITICS,
    LOSS_TERMS,
    SHORTEST_SHORT_SPECTRAL_PATCH,
    SHORTEST_SPECTRAL_PATCH,
    STACKED_CRITICS,
)


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(BaseConfig):
    """Options of a run that trains a generator on patches of audio by loss terms.

    Those that every run has are described in `BaseConfig`. A subclass has an option, named by
    `weight_option`, for each loss term that it offers; and a `ratio`, 1 where the model's input is
    made of the target itself.

    Attributes:
        critic_preset: preset of the discriminator.
        sample_rate_hz: rate of the target.
        layout: how the data folder is split (see `tonezoo.recipes.data.layouts`).
        segment_samples: patch length at the target rate.
        gain_db, max_speedup, equaliser_db: see `tonezoo.recipes.data.augmentation.Augmentation`.
        least_squares_weight, feature_matching_weight, spectral_weight, short_spectral_weight,
            tonal_weight: of the loss terms.

    Raises:
        ValueError: a number out of its range, or terms that do not go together.
    """

    MAIN_NETWORK: ClassVar[str] = "generator"
    # In float16 the discriminator's gradients would vanish: no optimizer scales them.
    DTYPES: ClassVar[tuple[str, ...]] = ("float32", "mixed_bfloat16")
    ratio: ClassVar[int]

    critic_preset: str = "full"
    sample_rate_hz: int = 16_000
    layout: str = "auto"
    segment_samples: int = 8192
    gain_db: float = 0.0
    max_speedup: float = 0.0
    equaliser_db: float = 0.0
    least_squares_weight: float = 0.0
    feature_matching_weight: float = 0.0
    spectral_weight: float = 0.0
    short_spectral_weight: float = 0.0
    tonal_weight: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        check_at_least(self, 1, "segment_samples", "sample_rate_hz")
        check_at_least(self, 0, *map(weight_option, self.loss_weights))
        on = [term for term in CRITICS if self.loss_weights.get(term)]
        if len(on) > 1:
            raise ValueError(
                f"The discriminator learns by one term, but "
                f"{' and '.join(map(weight_option, on))} are above 0. Set all but one of them to 0."
            )
        stacked = [weight_option(term) for term in STACKED_CRITICS if term in self.loss_weights]
        if self.feature_matching_weight and not any(getattr(self, name) for name in stacked):
            raise ValueError(
                "feature_matching_weight needs the discriminator that learns where "
                f"{' or '.join(stacked)} is above 0."
            )
        self.augmentation  # noqa: B018 - raises where its numbers are out of range

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weights of the terms that there are options for."""
        options = {term: weight_option(term) for term in LOSS_TERMS}
        return {term: getattr(self, name) for term, name in options.items() if hasattr(self, name)}

    @property
    def augmentation(self) -> Augmentation:
        return Augmentation(
            gain_db=self.gain_db, max_speedup=self.max_speedup, equaliser_db=self.equaliser_db
        )

    @property
    def shortest_spectral_patch(self) -> int:
        """Samples that the spectral terms which are on need at least, 1 without any."""
        if self.spectral_weight:
            return SHORTEST_SPECTRAL_PATCH
        return SHORTEST_SHORT_SPECTRAL_PATCH if self.short_spectral_weight else 1

    def find_data(self, root: str | Path, hold_out: Iterable[str] = ()) -> DataSplit:
        from tonezoo.recipes.data.layouts import find_clips

        return find_clips(root, layout=self.layout, hold_out=hold_out)

    def data_source(
        self, split: DataSplit | None, report: Callable[[str], Any] = print
    ) -> PatchSource:
        """Returns the source of patches of the training clips, or of procedural ones."""
        from tonezoo.recipes.corpus import speech
        from tonezoo.recipes.data import patches

        options = {"sample_rate_hz": self.sample_rate_hz, "ratio": self.ratio}
        if split is None:
            arrays = speech.procedural_corpus(seed=self.seed, sample_rate_hz=self.sample_rate_hz)
            return patches.prepare_arrays(arrays, **options)
        return patches.prepare(split.train, cache_dir=self.cache_path, report=report, **options)

    def preview_clips(self, split: DataSplit | None, report: Callable[[str], Any] = print) -> dict:
        """Returns a few clips that are not trained on, name -> (time,).

        These are test clips, or other procedural clips where the embedded corpus is used; of a
        folder of which nothing is held out there are none.
        """
        from tonezoo.recipes.corpus import speech
        from tonezoo.recipes.data.clips import read_clips
        from tonezoo.recipes.preview import PREVIEW_CLIPS

        if split is None:
            return speech.procedural_corpus(
                seed=self.seed + 1, clips=PREVIEW_CLIPS, sample_rate_hz=self.sample_rate_hz
            )
        return read_clips(
            split.test[:PREVIEW_CLIPS],
            root=split.root,
            sample_rate_hz=self.sample_rate_hz,
            ratio=self.ratio,
            report=report,
        )

    def validation_batches_of(self, held_out: PatchSource, segment_samples: int):
        """Returns the first batches of held-out data, joined, as they are."""
        return self.first_batches(
            held_out.batches(
                segment_samples=segment_samples, batch_size=self.batch_size, seed=self.seed
            )
        )


def weight_option(term: str) -> str:
    """Returns the name of the option that weighs a loss term."""
    return f"{term}_weight"
