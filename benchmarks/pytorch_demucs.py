"""Demucs beside the PyTorch package's: the original architecture with the same weights."""

import sys
from pathlib import Path

WIDTH = 64


def pair():
    """Returns our model and PyTorch's, of the same random weights."""
    # demucs.py in this folder would hide the PyTorch package of the same name.
    here = Path(__file__).resolve().parent
    sys.path = [path for path in sys.path if Path(path).resolve() != here]
    import torch
    from demucs.demucs import Demucs as TorchDemucs

    from tonezoo.audio import SOURCES
    from tonezoo.models.demucs import Demucs
    from tonezoo.models.demucs_weights import load_torch_weights

    torch.manual_seed(0)
    theirs = TorchDemucs(
        SOURCES,
        channels=WIDTH,
        lstm_layers=2,
        gelu=False,
        norm_starts=99,
        dconv_mode=0,
        normalize=False,
        resample=False,
    ).eval()
    # The original architecture as the package has it: its kernels before the GLUs are padded.
    ours = Demucs(width=WIDTH, encoder_glu_kernel_size=1, padding="valid")
    ours.build((None, None, ours.channels))
    load_torch_weights(ours, theirs.state_dict())
    return ours, theirs
