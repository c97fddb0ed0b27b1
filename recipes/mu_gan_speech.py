"""MU-GAN4 at quarter width for speech of many speakers: `mu_gan_small` with losses for the ear.

    tonezoo train mu_gan_speech --data speech --hold-out p228 --ratio 4 --max-minutes 75
    tonezoo train mu_gan_speech --data speech --hold-out p228 --ratio 2 --set telephone_share=0.3

Data: any folder of speech, an hour of it and tens of speakers or more. To `mu_gan_small` it adds
short windows, which see what smears before and after a consonant, and the level of the band that
is made up, of which too much is heard sooner than too little. At ratio 2, from 8 to 16 kHz, the
second command also teaches it what telephones do.
"""

import dataclasses

from tonezoo.recipes import mu_gan_small

CONFIG = dataclasses.replace(
    mu_gan_small.CONFIG,
    # Together the mean over five windows, 128 to 2048 samples.
    spectral_weight=0.72e-3,
    short_spectral_weight=0.48e-3,
    band_level_weight=2.4e-3,
    halving_steps=5000,
    # Of the rare gradients a hundred times as long as others, one can end a run for good.
    clip_norm=0.1,
)
