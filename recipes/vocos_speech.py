"""Vocos for two cores: speech from mel spectrograms without upsampling layers.

    tonezoo train vocos_speech --data speech --hold-out p228 --max-minutes 120

Data: any folder of speech, an hour of it and tens of speakers or more. The run is that of
`melgan_small`, with a generator that ends in an inverse transform: the control for what the
upsampling layers of MelGAN do.
"""

import dataclasses

from tonezoo.recipes import mel_gan

CONFIG = dataclasses.replace(mel_gan.SMALL, model="vocos", preset="small")
