"""Names and limits of the loss terms; configurations check them before Keras is loaded."""

LOSS_TERMS = (
    "l2",
    "patch_rms",
    "feature",
    "classifier",
    "adversarial",
    "least_squares",
    "hinge",
    "feature_matching",
    "mel",
    "spectral",
    "short_spectral",
    "band_level",
    "loudness",
    "tonal",
)

# A discriminator learns by one of these; the stacked ones need what lies before its output too.
STACKED_CRITICS = ("least_squares", "hinge")
CRITICS = ("adversarial", *STACKED_CRITICS)

SPECTRAL_WINDOWS = (512, 1024, 2048)
SHORT_SPECTRAL_WINDOWS = (128, 256)
# The longest window is centred on every sample, the first one included.
SHORTEST_SPECTRAL_PATCH = max(SPECTRAL_WINDOWS) // 2 + 1
SHORTEST_SHORT_SPECTRAL_PATCH = max(SHORT_SPECTRAL_WINDOWS) // 2 + 1
