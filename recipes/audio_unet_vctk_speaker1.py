"""The audio U-net baseline (L = 8) on one VCTK speaker (p225).

    tonezoo train audio_unet_vctk_speaker1 --data VCTK-Corpus --ratio 4 --run runs/unet_speaker1_x4

Data: as in mu_gan_vctk_speaker1. The loss is the mean over patches of the root mean square error.
Expected (the MU-GAN paper's figures, at ratio 2 / 4 / 6): SNR 21.94 / 18.68 / 14.85 dB, PESQ
narrowband 4.54 / 3.81 / 2.97; its LSD column (2.24 / 2.34 / 2.92) is by another definition. Not yet
trained by us.
"""

from tonezoo.recipes import super_resolution

CONFIG = super_resolution.Config(
    model="audio_unet",
    preset="l8",
    layout="vctk_speaker1",
    epochs=400,
    l2_weight=0.0,
    patch_rms_weight=1.0,
    feature_weight=0.0,
    adversarial_weight=0.0,
)
