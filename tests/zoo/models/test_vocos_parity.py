"""Vocos against the PyTorch package `vocos`: the same weights give the same output."""

import numpy as np
import pytest
import signals
import vocos_package

from tonezoo.models.vocos import Vocos

torch = pytest.importorskip("torch")
try:
    vocos_package.modules()
except ImportError:
    pytest.skip("the package vocos is not installed", allow_module_level=True)


@pytest.mark.parametrize("frames", [9, 40])
def test_the_same_weights_give_the_same_output(frames):
    model = Vocos(bands=5, hop_samples=16, width=12, blocks=3)
    model.build((None, None, 5))
    torch.manual_seed(0)
    backbone, head = vocos_package.network(model)
    with torch.no_grad():
        for tensor in (*backbone.parameters(), *head.parameters()):
            tensor += 0.2 * torch.randn(tensor.shape)
    vocos_package.take_weights(model, backbone, head)
    mel = signals.noise(2, frames, 5, std=1.0)
    with torch.inference_mode():
        expected = head(backbone(torch.from_numpy(mel.transpose(0, 2, 1).copy()))).numpy()
    # The package divides by the sum of the squared windows, which is smaller at the ends.
    window = np.hanning(65)[:64] ** 2
    envelope = np.zeros(16 * frames + 48)
    for frame in range(frames):
        envelope[16 * frame : 16 * frame + 64] += window
    expected *= envelope[24 : 24 + 16 * frames] / 1.5
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(model(mel)[:, :, 0], expected, atol=1e-4 * np.abs(expected).max())
