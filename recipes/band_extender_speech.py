"""The band extender for speech of many speakers: an hour of data, an hour of two cores.

    tonezoo train band_extender_speech --data speech --hold-out p228 --ratio 4 --max-minutes 75
    tonezoo train band_extender_speech --data speech --hold-out p228 --ratio 2 \
        --set telephone_share=0.3

Data: any folder of speech, an hour of it and tens of speakers or more. The losses are those of
`mu_gan_speech`. There is no upsampling layer that could leave tones, but the frames can: without
the tonal loss noise came out with lines at the multiples of their rate. A step takes less than half
the time of one of `mu_gan_speech`.
"""

import dataclasses

from tonezoo.recipes import mu_gan_speech

CONFIG = dataclasses.replace(
    mu_gan_speech.CONFIG,
    model="band_extender",
    preset="small",
    halving_steps=3000,
    # Where the low-pass falls off the waveform can be restored, and is worth it.
    l2_weight=2.0,
    clip_norm=0.02,
)
