"""A Demucs of 18 thousand parameters for tests: every part runs, in seconds.

    tonezoo train demucs_tiny --max-minutes 1 --run runs/separation

Data: any folder of tracks with one file per source, or without --data the procedural corpus.
Expect nothing of it.
"""

from tonezoo.recipes import separation

CONFIG = separation.Config(
    preset="tiny",
    segment_s=0.5,
    shift_s=0.1,
    batch_size=4,
    epochs=4,
    learning_rate=3e-3,
    tracks=4,
    track_s=4.0,
)
