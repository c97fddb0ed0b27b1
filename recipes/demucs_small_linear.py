"""Demucs for two cores: linear interpolation and convolutions of length 9.

    tonezoo train demucs_small_linear --max-minutes 5

4.5 million parameters. Data: any folder of tracks with a file a source, or without --data the
procedural corpus. What to expect of it there stands in recipes/README.md.
"""

import dataclasses

from tonezoo.recipes import demucs_small_transposed

CONFIG = dataclasses.replace(demucs_small_transposed.CONFIG, upsampler="linear")
