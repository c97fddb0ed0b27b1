"""Fills the cache of what librosa compiles, once for an environment and before any tests.

Two processes that fill it at the same time may leave what ends a later one.
"""

import librosa
import numpy as np

samples = np.random.default_rng(0).standard_normal(22_050)
librosa.onset.onset_detect(y=samples, sr=22_050)
librosa.pyin(samples, fmin=60, fmax=500, sr=22_050)
