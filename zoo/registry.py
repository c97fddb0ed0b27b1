"""The models by name: what there is, and building one."""

import importlib
import inspect
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tonezoo.discovery import modules_with

if TYPE_CHECKING:
    import keras

MODELS_PACKAGE = "tonezoo.models"


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """What a model's file says of it: its ENTRY, by which `create_model` finds and builds it.

    Attributes:
        name: what the user asks for; the file's name.
        model: class of the model.
        presets: options of the class by the preset's name, the first preset being the default.
        parameters: parameter count of each preset.
        paper_presets: names of the presets that are the paper's; the others are ours.
        sample_rate_hz: rate of the audio that it was designed for, output side.
        ratios: upsampling ratios of the paper; other integers of at least 2 work too. Empty for
            a model that does not change the rate.
        source: paper.
    """

    name: str
    model: "type[keras.Model]"
    presets: Mapping[str, Mapping[str, Any]]
    parameters: Mapping[str, int]
    paper_presets: tuple[str, ...] = ()
    sample_rate_hz: int
    ratios: tuple[int, ...] = ()
    source: str

    @property
    def options(self) -> set[str]:
        """Names of the options that the class and those it inherits from accept."""
        import keras

        own = self.model.__mro__[: self.model.__mro__.index(keras.Model)]
        return {"name", "dtype"} | {
            option
            for kind in own
            for option, parameter in inspect.signature(kind).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }


def list_models() -> list[str]:
    """Returns the names that `create_model` accepts.

    Example:

    >>> list_models()[:4]
    ['audio_unet', 'band_extender', 'demucs', 'mel_gan']
    """
    return list(modules_with(MODELS_PACKAGE, "ENTRY"))


def model_entry(name: str) -> ModelEntry:
    """Returns the entry of a model.

    Raises:
        ValueError: an unknown name; the message lists the valid ones.
    """
    names = list_models()
    if name not in names:
        raise ValueError(f"Unknown model {name!r}. Available models: {', '.join(names)}.")
    return importlib.import_module(f"{MODELS_PACKAGE}.{name}").ENTRY


def model_rows() -> list[dict]:
    """Returns a row of facts, JSON types only, for each preset of each model.

    Example:

    >>> model_rows()[0]["preset"], model_rows()[0]["parameters"]
    ('l8', 103603458)
    """
    return [
        {
            "name": entry.name,
            "preset": preset,
            "parameters": parameters,
            "sample_rate_hz": entry.presets[preset].get("sample_rate_hz", entry.sample_rate_hz),
            "input_sample_rates_hz": [entry.sample_rate_hz / ratio for ratio in entry.ratios],
            "ratios": list(entry.ratios),
            "source": entry.source,
            "of_the_paper": preset in entry.paper_presets,
        }
        for entry in map(model_entry, list_models())
        for preset, parameters in entry.parameters.items()
    ]


def create_model(name: str, /, *, preset: str | None = None, **overrides) -> "keras.Model":
    """Builds a Keras model from its name, a preset and options that replace the preset's.

    Args:
        name: one of `list_models()`.
        preset: one of the model's presets (`tonezoo models` lists them); None for the first.
        **overrides: arguments of the model's class, such as ratio=2 or dropout=0.1.

    Returns:
        A `keras.Model` with its variables, which are random.

    Raises:
        ValueError: an unknown model, preset or option; the message lists the valid ones.

    Example:

    >>> model = create_model("mu_gan", preset="tiny", ratio=2)
    >>> model.ratio, model.sample_rate_hz, model.count_params()
    (2, 16000, 21209)
    """
    import keras

    entry = model_entry(name)
    preset = next(iter(entry.presets)) if preset is None else preset
    if preset not in entry.presets:
        raise ValueError(
            f"Unknown preset {preset!r} of {name}. Available presets: {', '.join(entry.presets)}."
        )
    unknown = sorted(set(overrides) - entry.options)
    if unknown:
        raise ValueError(
            f"Unknown option {', '.join(map(repr, unknown))} of {name}. Available options: "
            f"{', '.join(sorted(entry.options))}."
        )
    # Without a policy of the user's, Keras's follows floatx, which a keras.json may have set for
    # another project.
    follows_floatx = keras.config.dtype_policy().name == keras.config.floatx()
    precision = {"dtype": "float32"} if follows_floatx else {}
    model = entry.model(**{**precision, **entry.presets[preset], **overrides})
    model.build((None, None, getattr(model, "channels", 1)))
    return model


def count_parameters(name: str, preset: str, **overrides) -> int:
    """Returns the number of parameters of a preset without allocating them.

    Example:

    >>> count_parameters("audio_unet", "l8")
    103603458
    """
    import keras

    def count() -> int:
        with keras.StatelessScope(initialize_variables=False):
            return create_model(name, preset=preset, **overrides).count_params()

    # Keras keeps a thread's variables that were not initialised, and allocates them at the end of
    # the thread's next scope of that kind.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(count).result()
