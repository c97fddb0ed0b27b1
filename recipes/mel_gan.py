"""MelGAN, at full and at small size.

    tonezoo train melgan_ljspeech --data LJSpeech-1.1
    tonezoo train melgan_small --data speech --hold-out p228 --max-minutes 120

`melgan_ljspeech` is the paper's: 4.3 million parameters, hinge loss and feature matching of a
discriminator at three scales, Adam at 1e-4, batches of 16 patches of 8192 samples, 3000 epochs.
Data: LJ Speech, or any folder of speech. The paper's levels, peaks of 0.95 scaled by 0.3 to 1, are
here the clips' own, changed by up to 6 dB. It takes days on a GPU.

`melgan_small` is for two cores and an hour of speech of many speakers: 0.3 million parameters,
which learn from mel spectrograms and spectra at five resolutions, without a discriminator.
`melgan_tiny` is for tests.
"""

import dataclasses

from tonezoo.recipes.vocoding import Config

LJSPEECH = Config(gain_db=6.0)
SMALL = Config(
    preset="small",
    critic_preset="quarter",
    layout="folder",
    epochs=1000,
    learning_rate=1e-3,
    beta_1=0.9,
    beta_2=0.999,
    halving_steps=6000,
    ema_momentum=0.998,
    clip_norm=1.0,
    dtype="mixed_bfloat16",
    gain_db=6.0,
    max_speedup=0.15,
    equaliser_db=2.0,
    hinge_weight=0.0,
    feature_matching_weight=0.0,
    mel_weight=1.0,
    spectral_weight=0.6,
    short_spectral_weight=0.4,
)
CONFIGS = {
    "melgan_ljspeech": LJSPEECH,
    "melgan_small": SMALL,
    "melgan_tiny": dataclasses.replace(
        LJSPEECH,
        preset="tiny",
        critic_preset="tiny",
        batch_size=4,
        epochs=1,
        steps_per_epoch=4,
        learning_rate=1e-3,
        mel_weight=1.0,
    ),
}
DESCRIPTIONS = {
    "melgan_ljspeech": "MelGAN: speech from mel spectrograms, as published.",
    "melgan_small": "MelGAN for two cores, of many speakers, by spectral losses.",
    "melgan_tiny": "A MelGAN of 12 thousand parameters for tests.",
}
