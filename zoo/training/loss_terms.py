"""Names and limits of the loss terms; configurations check them before Keras is loaded."""

LOSS_TERMS = (
    "l2",
    "patch_rms",
    "feature",
    "classifier",
    "adversarial",
    "spectral",
    "loudness",
    "tonal",
)

SPECTRAL_RESOLUTIONS = (512, 1024, 2048)
# The longest window is centred on every sample, the first one included.
SHORTEST_SPECTRAL_PATCH = max(SPECTRAL_RESOLUTIONS) // 2 + 1
TONAL_PERIOD_SAMPLES = 16
