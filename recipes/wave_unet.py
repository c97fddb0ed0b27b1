"""Wave-U-Net, at full and at small size.

    tonezoo train wave_unet_musdb --data musdb18hq
    tonezoo train wave_unet_small --max-minutes 5

`wave_unet_musdb` is the paper's M6, 10 million parameters at 22.05 kHz, which sees 6.7 s to answer
0.74 s of it. Data: MUSDB18-HQ, or MUSDB18 with the extra `musdb` and ffmpeg; 86 tracks train, the
weights are those of the epoch with the lowest error on the usual 14. The paper trains until 20
epochs bring nothing, then on with batch 32 and learning rate 1e-5, and reports a median SDR of
3.23 dB over all sources of the 50 test tracks; here it is 100 epochs of 2000 steps.

`wave_unet_small` is for two cores: half a million parameters, the rest of its run as that of
`demucs_small_*`. Data: any folder of tracks with one file per source, or without --data the
procedural corpus. `wave_unet_tiny` is for tests.
"""

import dataclasses

from tonezoo.recipes import demucs_table1, demucs_tiny
from tonezoo.recipes.separation import Config

M6 = Config(
    model="wave_unet",
    preset="m6",
    layout="musdb",
    sample_rate_hz=22_050,
    segment_s=16_389 / 22_050,
    shift_s=0.0,
    flip=False,
    swap=False,
    gain=True,
    least_gain=0.7,
    largest_gain=1.0,
    remix_group=1,
    loss="mean_squared_error",
    batch_size=16,
    learning_rate=1e-4,
    epochs=100,
    steps_per_epoch=2000,
    validation_batches=64,
)
SMALL = dataclasses.replace(
    demucs_table1.small_size("transposed"), model="wave_unet", loss="mean_squared_error"
)
CONFIGS = {
    "wave_unet_musdb": M6,
    "wave_unet_small": SMALL,
    "wave_unet_tiny": dataclasses.replace(
        demucs_tiny.CONFIG, model="wave_unet", loss="mean_squared_error"
    ),
}
DESCRIPTIONS = {
    "wave_unet_musdb": "Wave-U-Net M6: four sources at 22.05 kHz, with context.",
    "wave_unet_small": "Wave-U-Net for two cores.",
    "wave_unet_tiny": "A Wave-U-Net of 8 thousand parameters for tests.",
}
