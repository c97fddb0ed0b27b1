"""Demucs for two cores: nearest interpolation and convolutions of length 9.

    tonezoo train demucs_small_nearest --max-minutes 5

4.5 million parameters. Data: any folder of tracks with a file a source, or without --data the
procedural corpus. What to expect of it there stands in recipes/README.md.
"""

from tonezoo.recipes import separation

CONFIG = separation.Config(
    preset="small",
    upsampler="nearest",
    segment_s=1.5,
    shift_s=0.5,
    crop_stride_s=0.5,
    batch_size=8,
    epochs=40,
    learning_rate=1e-3,
)
