"""A reconstruction of Sams-Net, at full and at small size.

    tonezoo train sams_net_musdb --data musdb18hq
    tonezoo train sams_net_small --max-minutes 5

`sams_net_musdb` is of the paper's size, 3.7 million parameters for each source; data and run are
those of `open_unmix_musdb`, with the paper's L1 loss ASSUMED. What the paper reports, SDR 5.65 on
average, is of a network that is not public: nothing is claimed of this one.

`sams_net_small` is for two cores: 50 thousand parameters in all, in bfloat16, the rest of its run
as that of `demucs_small_*`. Data: any folder of tracks with one file per source, or without --data
the procedural corpus. `sams_net_tiny` is for tests.
"""

import dataclasses

from tonezoo.recipes import demucs_tiny, open_unmix, wave_unet

CONFIGS = {
    "sams_net_musdb": dataclasses.replace(
        open_unmix.MUSDB,
        model="sams_net",
        preset="reconstruction",
        loss="mean_absolute_error",
        batch_size=4,
        learning_rate=1e-4,
    ),
    "sams_net_small": dataclasses.replace(
        wave_unet.SMALL, model="sams_net", loss="mean_absolute_error", dtype="mixed_bfloat16"
    ),
    "sams_net_tiny": dataclasses.replace(demucs_tiny.CONFIG, model="sams_net"),
}
DESCRIPTIONS = {
    "sams_net_musdb": "A reconstruction of Sams-Net: four sources by attention on the spectrogram.",
    "sams_net_small": "A reconstruction of Sams-Net for two cores.",
    "sams_net_tiny": "A Sams-Net of 16 thousand parameters for tests.",
}
