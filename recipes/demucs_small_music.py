"""Demucs for two cores, of real and made-up songs: `demucs_small_nearest` with more augmentation.

    tonezoo train demucs_small_music --data songs --hold-out rubidium --max-minutes 180

Data: a folder of tracks with one file per source, as broad as it can be: real songs, songs composed
of recordings (`python -m tonezoo.recipes.corpus.collage`), rendered ones (`rendering`) and made-up
ones. Few songs alone are learnt by heart, so each source has another speed, level and equaliser
every time, and is mixed with those of other songs. The song that is held out chooses the weights,
which are averages over a thousand steps.
"""

import dataclasses

from tonezoo.recipes import demucs_table1

CONFIG = dataclasses.replace(
    demucs_table1.small_size("nearest"),
    epochs=400,
    gain=True,
    max_speed_change=0.1,
    equaliser_db=3.0,
    halving_steps=4000,
    ema_momentum=0.999,
    remix_group=8,
    dtype="mixed_bfloat16",
    validation_batches=8,
    steps_per_epoch=200,
)
