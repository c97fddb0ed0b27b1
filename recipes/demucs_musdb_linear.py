"""The upsampling paper, Table 1: linear interpolation and convolutions of length 9.

    tonezoo train demucs_musdb_linear --data musdb18hq

Data: MUSDB18-HQ, or MUSDB18 with the extra `musdb` and ffmpeg; 86 tracks train. 600 epochs of batch
32: 8 on each of the paper's 4 GPUs, elsewhere `--set batch_size=32` over the number of GPUs. The
paper reports an SDR of 4.62 dB on the 50 test tracks.
"""

from tonezoo.recipes import separation

CONFIG = separation.Config(preset="table1_linear", layout="musdb")
