"""What all recipes have in common: the options of every run, and the parts it is made of."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tonezoo.recipes.config import check_above, check_at_least, check_finite, check_fractions
from tonezoo.recipes.data.layouts import DataSplit
from tonezoo.recipes.experiment import AVERAGE_NETWORK, Experiment, Phase
from tonezoo.registry import create_model


@dataclass(frozen=True, kw_only=True)
class BaseConfig:
    """Options of a run, and what the runner needs to know of a recipe.

    A kind of recipe is a subclass: more fields, and the methods that differ. It has to define
    `data_source` and `build`, for which `one_phase` does most; `find_data` and `preview` where it
    takes a folder of data and shows how it gets on, `new_model` where a model takes options.

    Attributes:
        model: registry name of the network that a run is about.
        preset: its preset; None for the model's first.
        batch_size: examples per replica; the global batch is batch_size * replicas.
        epochs: passes over as many examples as tile the data.
        steps_per_epoch: steps of an epoch in place of those; None for these.
        learning_rate, beta_1, beta_2: of Adam.
        halving_steps: steps in which the learning rate halves, again and again; None for a constant
            one.
        ema_momentum: momentum of the moving average of the network's weights, which evaluation,
            previews and export then use; 0 for the weights themselves.
        start_from: run, exported model or name of a shipped one whose weights training starts from;
            None for random ones.
        clip_norm: longer gradients, of all variables together, are scaled to this norm; None for
            none.
        dtype: Keras dtype policy of the networks in training, one of DTYPES: "mixed_bfloat16" is a
            third faster or more on processors and GPUs that have it, the gradients of
            "mixed_float16" are scaled. Evaluation and export use float32.
        seed: of initial weights, dropout and batches.
        deterministic: True for bit-identical repetition on one machine, somewhat slower.
        cache_dir: folder for decoded audio; None to keep it in memory.
        checkpoint_steps: steps between checkpoints; one is written where training ends in any case.
        validation_batches: batches of what is held out, or of other made-up data, of which the loss
            is measured after each epoch: the run's model is that of the epoch with the lowest. 0
            for none, and the model of the last step.

    Raises:
        ValueError: a number out of its range.
    """

    # The name of the network and of the phase that a run is about.
    MAIN_NETWORK: ClassVar[str] = "model"
    DTYPES: ClassVar[tuple[str, ...]] = ("float32", "mixed_bfloat16", "mixed_float16")
    # What a resumed run may change: anything else would make it another run.
    CHANGEABLE: ClassVar[frozenset[str]] = frozenset({"epochs", "checkpoint_steps", "cache_dir"})
    # Options that are paths, of which an exported model tells the last part alone.
    PATH_OPTIONS: ClassVar[frozenset[str]] = frozenset({"cache_dir", "start_from"})

    model: str
    preset: str | None = None
    batch_size: int = 8
    epochs: int = 1
    steps_per_epoch: int | None = None
    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    halving_steps: int | None = None
    ema_momentum: float = 0.0
    clip_norm: float | None = None
    dtype: str = "float32"
    seed: int = 0
    deterministic: bool = False
    cache_dir: str | None = None
    checkpoint_steps: int = 500
    validation_batches: int = 0
    start_from: str | None = None

    def __post_init__(self):
        counts = ("batch_size", "epochs", "steps_per_epoch", "checkpoint_steps")
        check_at_least(self, 1, *counts, "halving_steps")
        check_at_least(self, 0, "seed", "validation_batches")
        check_finite(self)
        check_above(self, 0, "learning_rate", "clip_norm")
        check_fractions(self, "beta_1", "beta_2", "ema_momentum")
        if self.dtype not in self.DTYPES:
            raise ValueError(f"dtype must be one of {self.DTYPES}, but is {self.dtype!r}.")

    @property
    def cache_path(self) -> Path | None:
        return None if self.cache_dir is None else Path(self.cache_dir)

    def run_name(self, recipe: str) -> str:
        """Returns the default name of a run of a recipe."""
        return recipe

    def find_data(self, root: str | Path, hold_out: Iterable[str] = ()) -> DataSplit:
        """Returns the files of a folder, split into those to train on and those to test on.

        Raises:
            ValueError: nothing usable there, or a recipe that makes up its data itself.
        """
        raise ValueError(f"This recipe takes no folder of data, but got {root}. Leave --data out.")

    def data_source(self, split: DataSplit | None, report: Callable[[str], Any] = print):
        """Returns where the examples come from.

        Args:
            split: what `find_data` found, or None for made-up data.
            report: called with a line for each file that is skipped.

        Returns:
            An object with `summary`, a line that tells how much there is; `fingerprint`, a short
            hash of it; and what `build` needs of it.
        """
        raise NotImplementedError

    def validation_source(
        self, split: DataSplit | None, report: Callable[[str], Any] = print
    ) -> Any:
        """Returns where the examples of the validation come from, None where there is none.

        They are the layout's own, where it knows any, else all that is held out.

        Raises:
            ValueError: nothing of the data is held out.
        """
        if not self.validation_batches:
            return None
        if split is None:
            return dataclasses.replace(self, seed=self.seed + 1).data_source(None, report)
        held_out = split.validation or split.test
        if not held_out:
            raise ValueError(
                f"validation_batches is {self.validation_batches}, but nothing of {split.root} is "
                "held out to validate on. Hold some of it out (--hold-out)."
            )
        return self.data_source(dataclasses.replace(split, train=held_out), report)

    def first_batches(self, batches) -> tuple[np.ndarray, ...]:
        """Returns the first `validation_batches` of endless batches, joined: input and target."""
        pairs = list(itertools.islice(iter(batches), self.validation_batches))
        inputs, targets = zip(*pairs, strict=True)
        return np.concatenate(inputs), np.concatenate(targets)

    def new_model(self, dtype: str = "float32"):
        """Returns the network that a run is about, built, with random weights."""
        return create_model(self.model, preset=self.preset, dtype=dtype, **self.model_options)

    @property
    def model_options(self) -> dict[str, Any]:
        """The options of the network that replace its preset's."""
        return {}

    def build(self, source, replicas: int) -> Experiment:
        """Returns networks, optimizers and phases of a run; called in the strategy's scope."""
        raise NotImplementedError

    def preview(self, split: DataSplit | None, report: Callable[[str], Any] = print):
        """Returns what writes examples for TensorBoard after an epoch, or None.

        It is called with the trainer's `trained` network and the step: see
        `tonezoo.recipes.preview`.
        """
        return None

    def adam(self, halving_steps: int | None = None):
        """Returns the run's optimizer, its learning rate halved every so many steps."""
        import keras

        rate = self.learning_rate
        if halving_steps is not None:
            rate = keras.optimizers.schedules.ExponentialDecay(rate, halving_steps, 0.5)
        return keras.optimizers.Adam(
            rate, beta_1=self.beta_1, beta_2=self.beta_2, global_clipnorm=self.clip_norm
        )

    def average_network(self):
        """Returns a network for the average of the weights, None without one."""
        return self.new_model() if self.ema_momentum else None

    def average_callbacks(self) -> tuple:
        """Returns the callback that fills the trainer's `average`, if there is one."""
        from tonezoo.training import AverageWeights

        return (AverageWeights(self.ema_momentum),) if self.ema_momentum else ()

    def begin(self, network, average) -> dict | None:
        """Gives a new run's network the weights to start from; returns how they came about."""
        from tonezoo.recipes.trained import start_from

        origin = None if self.start_from is None else start_from(network, self.start_from)
        if average is not None:
            average.set_weights(network.get_weights())
        return origin

    def epoch_steps(self, examples: int, global_batch: int) -> int:
        """Returns the steps of an epoch of so many examples."""
        return self.steps_per_epoch or math.ceil(examples / global_batch)

    def one_phase(
        self,
        source,
        replicas: int,
        *,
        network,
        trainer,
        examples: int,
        batches,
        average=None,
        prepare: Callable[[], None] = lambda: None,
        validation: Callable[[Any], tuple] | None = None,
    ) -> Experiment:
        """Returns the experiment of a network that is trained in one phase.

        Args:
            source: of `data_source`.
            replicas: number of devices.
            network: the network that the run is about.
            trainer: the compiled Keras model that trains it, its optimizer built.
            examples: how many of them make an epoch.
            batches: from batch size, seed and first step to an endless dataset.
            average: the trainer's network for the average of the weights, of `average_network`.
            prepare: called before a new run begins.
            validation: see `Experiment`.
        """
        global_batch = self.batch_size * replicas
        phase = Phase(
            name=self.MAIN_NETWORK,
            model=trainer,
            steps_per_epoch=self.epoch_steps(examples, global_batch),
            epochs=self.epochs,
            time_share=1.0,
            callbacks=self.average_callbacks(),
            dataset=lambda step: batches(batch_size=global_batch, seed=self.seed, start_step=step),
        )

        def start():
            prepare()
            return self.begin(network, average)

        networks = {self.MAIN_NETWORK: network}
        if average is not None:
            networks[AVERAGE_NETWORK] = average
        return Experiment(
            phases=[phase],
            networks=networks,
            optimizers=[trainer.optimizer],
            global_batch=global_batch,
            data_fingerprint=source.fingerprint,
            start=start,
            validation=validation,
        )
