"""Open-Unmix, at full and at small size.

    tonezoo train open_unmix_musdb --data musdb18hq
    tonezoo train open_unmix_small --max-minutes 5
    tonezoo train open_unmix_music --data songs --hold-out rubidium --max-minutes 180

`open_unmix_musdb` is the paper's, 8.9 million parameters for each source, all four in one run: the
loss is the mean over sources of the squared error of magnitudes, and Adam does not mind its scale.
Data: MUSDB18-HQ, or MUSDB18 with the extra `musdb` and ffmpeg; 86 tracks train, the weights are
those of the epoch with the lowest error on the usual 14. Examples of 6 s in batches of 16, Adam at
1e-3. The paper decays weights (1e-5), lowers the rate where 80 epochs bring nothing and stops after
140; here the rate halves every 20,000 steps. It reports SDR (museval, median of medians) of 5.23
for drums, 5.23 bass, 4.02 other and 6.32 vocals.

`open_unmix_small` is for two cores: 4.6 million parameters in all, the rest of its run as that of
`demucs_small_*`. Data: any folder of tracks with one file per source, or without --data the
procedural corpus. `open_unmix_tiny` is for tests.

`open_unmix_music` is the small one for real music of which there is little. Data: folders of tracks
as broad as can be, real songs and those that the modules of `tonezoo.recipes.corpus` write:
composed of recordings, rendered and made up. Few songs alone are learnt by heart, so each source
has another speed, level and equaliser every time, and is mixed with those of other songs. The songs
that are held out choose the weights.
"""

import dataclasses

from tonezoo.recipes import demucs_tiny, wave_unet
from tonezoo.recipes.demucs_small_music import LITTLE_MUSIC
from tonezoo.recipes.separation import Config

MUSDB = Config(
    model="open_unmix",
    preset="umx",
    layout="musdb",
    segment_s=6.0,
    shift_s=0.0,
    flip=False,
    gain=True,
    remix_group=16,
    loss="mean_squared_error",
    batch_size=16,
    learning_rate=1e-3,
    halving_steps=20_000,
    epochs=1000,
    validation_batches=16,
)
SMALL = dataclasses.replace(wave_unet.SMALL, model="open_unmix")
CONFIGS = {
    "open_unmix_musdb": MUSDB,
    "open_unmix_small": SMALL,
    "open_unmix_music": dataclasses.replace(
        SMALL,
        segment_s=3.0,
        least_gain=0.1,
        largest_gain=1.5,
        equaliser_db=6.0,
        halving_steps=3000,
        **LITTLE_MUSIC,
    ),
    "open_unmix_tiny": dataclasses.replace(
        demucs_tiny.CONFIG, model="open_unmix", loss="mean_squared_error"
    ),
}
DESCRIPTIONS = {
    "open_unmix_musdb": "Open-Unmix: four sources by LSTMs on the spectrogram.",
    "open_unmix_small": "Open-Unmix for two cores.",
    "open_unmix_music": "Open-Unmix for two cores and little real music.",
    "open_unmix_tiny": "An Open-Unmix of 43 thousand parameters for tests.",
}
