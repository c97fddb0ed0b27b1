"""Demucs for two cores and little real music.

    tonezoo train demucs_small_modified_subpixel --set epochs=16 --set steps_per_epoch=50
    tonezoo train demucs_small_music --data songs --hold-out rubidium --max-minutes 180 \\
        --set start_from=runs/demucs_small_modified_subpixel

Data: folders of tracks as broad as can be, real songs and those that the modules of
`tonezoo.recipes.corpus` write: composed of recordings, rendered and made up. Few songs alone are
learnt by heart, so each source has another speed, level and equaliser every time, and is mixed with
those of other songs; a source that is silent makes room for one that sounds. The songs that are
held out choose the weights. The first of the commands learns from made-up songs alone what the
second goes on from; `start_from=demucs_small_music` goes on from the model of the package.
"""

import dataclasses
from typing import Any

from tonezoo.recipes import demucs_table1

# What `open_unmix_music` does to little music as well.
LITTLE_MUSIC: dict[str, Any] = {
    "gain": True,
    "max_speed_change": 0.1,
    "remix_group": 8,
    "ema_momentum": 0.998,
    "epochs": 400,
    "steps_per_epoch": 200,
    "validation_batches": 8,
}
CONFIG = dataclasses.replace(
    demucs_table1.small_size("modified_subpixel"),
    equaliser_db=3.0,
    fill_silence=0.8,
    share_window_samples=4096,
    learning_rate=5e-4,
    halving_steps=1500,
    **LITTLE_MUSIC,
)
