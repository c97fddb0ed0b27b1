"""The models by name, without importing any of them: names, presets, parameter counts, sources."""

import importlib
import inspect
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

MU_GAN_PAPER = "Adversarial Audio Super-Resolution with Unsupervised Feature Losses"
KULESHOV_PAPER = "Kuleshov et al. 2017, Audio Super-Resolution using Neural Nets"
DEMUCS_PAPERS = (
    "Défossez et al. 2019, Music Source Separation in the Waveform Domain; Pons et al. 2021, "
    "Upsampling Artifacts in Neural Audio Synthesis"
)


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A model that `create_model` builds.

    Attributes:
        name: what the user asks for.
        path: "module:Class" of the model.
        parameters: parameter count of each preset, the first preset being the default.
        sample_rate_hz: rate of the audio that it was designed for, output side.
        ratios: upsampling ratios of the paper; other integers of at least 2 work too. Empty for
            a model that does not change the rate.
        source: paper.
    """

    name: str
    path: str
    parameters: dict[str, int]
    sample_rate_hz: int
    ratios: tuple[int, ...]
    source: str

    def load(self) -> tuple[type, dict[str, dict]]:
        """Imports the model; returns its class and the options of each preset."""
        module_name, class_name = self.path.split(":")
        module = importlib.import_module(module_name)
        return getattr(module, class_name), module.PRESETS[self.name]


MODELS = {
    entry.name: entry
    for entry in (
        ModelEntry(
            name="mu_gan",
            path="tonezoo.models.mu_gan:MuGanGenerator",
            parameters={
                "l8": 56_341_441,
                "l8_half": 14_088_673,
                "l8_quarter": 3_523_825,
                "l8_strided": 69_617_089,
                "l4": 18_586_561,
                "l4_half": 4_648_417,
                "l4_quarter": 1_162_993,
                "l4_strided": 22_422_977,
                "l4_quarter_band_kept": 1_162_464,
                "tiny": 42_025,
            },
            sample_rate_hz=16_000,
            ratios=(2, 4, 6),
            source=MU_GAN_PAPER,
        ),
        ModelEntry(
            name="mu_gan_autoencoder",
            path="tonezoo.models.mu_gan:MuGanAutoencoder",
            parameters={
                "full": 12_393_409,
                "half": 3_100_129,
                "quarter": 775_921,
                "tiny": 32_809,
            },
            sample_rate_hz=16_000,
            ratios=(),
            source=MU_GAN_PAPER,
        ),
        ModelEntry(
            name="mu_gan_discriminator",
            path="tonezoo.models.mu_gan:MuGanDiscriminator",
            parameters={
                "full": 11_205_697,
                "half": 2_803_233,
                "quarter": 701_713,
                "tiny": 279_849,
            },
            sample_rate_hz=16_000,
            ratios=(),
            source=MU_GAN_PAPER,
        ),
        ModelEntry(
            name="audio_unet",
            path="tonezoo.models.audio_unet:AudioUnet",
            parameters={
                "l8": 103_603_458,
                "l8_half": 25_906_818,
                "l8_quarter": 6_479_682,
                "l4": 56_411_394,
                "l4_half": 14_107_266,
                "l4_quarter": 3_529_026,
                "l4_seventh": 1_138_145,
                "tiny": 7_354,
            },
            sample_rate_hz=16_000,
            ratios=(2, 4, 6),
            source=KULESHOV_PAPER,
        ),
        ModelEntry(
            name="demucs",
            path="tonezoo.models.demucs:Demucs",
            parameters={
                "original": 648_497_008,
                "table1_transposed": 703_097_008,
                "table1_modified_transposed": 703_008_000,
                "table1_nearest": 709_917_808,
                "table1_linear": 709_917_808,
                "table1_subpixel": 730_389_532,
                "table1_modified_subpixel": 730_291_200,
                "small": 4_504_744,
                "tiny": 18_096,
            },
            sample_rate_hz=44_100,
            ratios=(),
            source=DEMUCS_PAPERS,
        ),
    )
}


def list_models() -> list[str]:
    """Returns the names that `create_model` accepts.

    Example:

    >>> list_models()
    ['mu_gan', 'mu_gan_autoencoder', 'mu_gan_discriminator', 'audio_unet', 'demucs']
    """
    return list(MODELS)


def model_entry(name: str) -> ModelEntry:
    """Returns the entry of a model.

    Raises:
        ValueError: an unknown name; the message lists the valid ones.
    """
    if name not in MODELS:
        raise ValueError(f"Unknown model {name!r}. Available models: {', '.join(MODELS)}.")
    return MODELS[name]


def model_rows() -> list[dict]:
    """Returns a row of facts, JSON types only, for each preset of each model.

    Example:

    >>> model_rows()[0]["preset"], model_rows()[0]["parameters"]
    ('l8', 56341441)
    """
    return [
        {
            "name": entry.name,
            "preset": preset,
            "parameters": parameters,
            "sample_rate_hz": entry.sample_rate_hz,
            "input_sample_rates_hz": [entry.sample_rate_hz / ratio for ratio in entry.ratios],
            "ratios": list(entry.ratios),
            "source": entry.source,
        }
        for entry in MODELS.values()
        for preset, parameters in entry.parameters.items()
    ]


def create_model(name: str, /, *, preset: str | None = None, **overrides):
    """Builds a Keras model from its name, a preset and options that replace the preset's.

    Args:
        name: one of `list_models()`.
        preset: one of the model's presets (`tonezoo models` lists them); None for the first.
        **overrides: arguments of the model's class, such as ratio=2 or dropout=0.1.

    Returns:
        A `keras.Model`, not yet built: its variables come with the first call or `build`.

    Raises:
        ValueError: an unknown model, preset or option; the message lists the valid ones.

    Example:

    >>> model = create_model("mu_gan", preset="tiny", ratio=2)
    >>> model.ratio, model.sample_rate_hz
    (2, 16000)
    """
    entry = model_entry(name)
    preset = next(iter(entry.parameters)) if preset is None else preset
    if preset not in entry.parameters:
        raise ValueError(
            f"Unknown preset {preset!r} of {name}. Available presets: "
            f"{', '.join(entry.parameters)}."
        )
    model_class, presets = entry.load()
    options = (
        option
        for option, parameter in inspect.signature(model_class).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    )
    accepted = {*options, "name", "dtype"}
    unknown = sorted(set(overrides) - accepted)
    if unknown:
        raise ValueError(
            f"Unknown option {', '.join(map(repr, unknown))} of {name}. Available options: "
            f"{', '.join(sorted(accepted))}."
        )
    return model_class(**{**presets[preset], **overrides})


def count_parameters(name: str, preset: str, **overrides) -> int:
    """Returns the number of parameters of a preset without allocating them.

    Example:

    >>> count_parameters("audio_unet", "l8")
    103603458
    """
    import keras

    def count() -> int:
        with keras.StatelessScope(initialize_variables=False):
            model = create_model(name, preset=preset, **overrides)
            model.build((None, None, 1))
            return model.count_params()

    # Keras keeps a thread's variables that were not initialised, and allocates them at the end of
    # the thread's next scope of that kind.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(count).result()
