"""Feature loss of a network trained to classify sounds: the paper's alternative to its own loss."""

import os
from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

CHANNELS = (32,) * 5 + (64,) * 5 + (128,) * 4
KERNEL_SIZE = 3
EPSILON = 1e-3
LEAKY_SLOPE = 0.2


@keras.saving.register_keras_serializable(package="tonezoo")
class ClassifierFeatureLoss(keras.layers.Layer):
    """Compares two waveforms by the features of a frozen sound classifier.

    loss = sum over the first `loss_layers` layers m of mean|phi_m(ref) - phi_m(est)| / w_m

    Layer m of the classifier: convolution of kernel 3, "same", without bias (32 filters in the
    first 5 layers, 64 in the next 5, 128 in the last 4; stride 2, 1 in the last) -> normalisation
    by the mean and variance of the batch over batch and time, plus a learnt beta -> LeakyReLU(0.2)
    = phi_m. The batch is the global one where replicas share it. All 14 layers hold 240,704
    parameters, kernels and betas; the two heads that trained the classifier (15 acoustic scenes,
    7 domestic sounds) are no part of the loss and are left out.

    The weights w start at 1. The authors keep them for 10 epochs, then set each to the mean of its
    layer's `raw_losses` over the tenth: `loss.layer_weights.assign(mean_raw_losses)`.

    The classifier is random until `load_tf1_checkpoint` is called, and it was trained on 16 kHz.

    Args:
        loss_layers: number of layers compared, 1 to 14.

    Attributes:
        layer_weights: non-trainable variable (loss_layers,), the w above.

    Input shape: reference and estimate, both (batch, time, 1), full scale 1.0. Output: a scalar.

    Raises:
        ValueError: `loss_layers` is not in 1 to 14.

    Source: Germain, Chen, Koltun, "Speech Denoising with Deep Feature Losses", 2018.

    Example:

    >>> import numpy as np
    >>> loss = ClassifierFeatureLoss()
    >>> x = np.random.default_rng(0).standard_normal((2, 256, 1)).astype("float32")
    >>> float(loss(x, x)), len(loss.raw_losses(x, -x))
    (0.0, 6)
    >>> loss.count_params() - loss.loss_layers
    240704
    """

    def __init__(self, loss_layers: int = 6, **kwargs):
        super().__init__(**kwargs)
        if loss_layers not in range(1, len(CHANNELS) + 1):
            raise ValueError(
                f"loss_layers counts the compared layers, 1 to {len(CHANNELS)}; "
                f"received {loss_layers!r}."
            )
        self.loss_layers = loss_layers
        self.convs = [
            _ClassifierConv(
                filters,
                stride=2 if m < len(CHANNELS) - 1 else 1,
                dtype=self.dtype_policy,
                name=f"conv_{m}",
            )
            for m, filters in enumerate(CHANNELS)
        ]
        for conv, channels in zip(self.convs, (1, *CHANNELS[:-1]), strict=True):
            conv.build((None, None, channels))
        self.layer_weights = self.add_weight(
            name="layer_weights", shape=(loss_layers,), initializer="ones", trainable=False
        )
        self.trainable = False

    def features(self, waveform) -> list:
        """Returns phi_1 ... phi_n of a waveform (batch, time, 1): (batch, time / 2^m, filters)."""
        outputs = [waveform]
        for conv in self.convs[: self.loss_layers]:
            outputs.append(conv(outputs[-1]))
        return outputs[1:]

    def raw_losses(self, reference, estimate):
        """Returns mean|phi_m(ref) - phi_m(est)| of each compared layer, (loss_layers,)."""
        pairs = zip(self.features(reference), self.features(estimate), strict=True)
        return ops.stack([ops.mean(ops.abs(ref - est)) for ref, est in pairs])

    def call(self, reference, estimate):
        return ops.sum(self.raw_losses(reference, estimate) / self.layer_weights)

    def load_tf1_checkpoint(self, path: str | os.PathLike) -> None:
        """Loads the authors' weights, a TF1 checkpoint with variables named loss_conv_*.

        Args:
            path: prefix of the checkpoint's files, such as models/loss_model.ckpt.

        Raises:
            ValueError: there is no checkpoint, or it lacks a variable or has another shape.
        """
        import tensorflow as tf

        try:
            reader = tf.train.load_checkpoint(os.fspath(path))
        except (ValueError, tf.errors.OpError) as error:
            raise ValueError(
                f"There is no readable TensorFlow checkpoint at {path}. Pass the common prefix of "
                "its files, without .index or .data-00000-of-00001."
            ) from error
        names = reader.get_variable_to_shape_map()
        self.load_arrays({name: reader.get_tensor(name) for name in names})

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Loads weights named as in the authors' checkpoint; other names are ignored.

        Args:
            arrays: loss_conv_0/weights (1, 3, in, out) and loss_conv_0/BatchNorm/beta (out,), and
                so on up to loss_conv_13.

        Raises:
            ValueError: an array is missing or has another shape; nothing is loaded then.
        """
        values = []
        for m, conv in enumerate(self.convs):
            kernel_shape = (1, *conv.kernel.shape)
            values += [
                (conv.kernel, _array(arrays, f"loss_conv_{m}/weights", kernel_shape)[0]),
                (conv.beta, _array(arrays, f"loss_conv_{m}/BatchNorm/beta", conv.beta.shape)),
            ]
        for variable, value in values:
            variable.assign(value)

    def compute_output_shape(self, reference_shape, estimate_shape):
        return ()

    def get_config(self):
        return {**super().get_config(), "loss_layers": self.loss_layers}


class _ClassifierConv(keras.layers.Layer):
    """Convolution, normalisation by the batch's own statistics, LeakyReLU."""

    def __init__(self, filters, stride, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.stride = stride

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=(KERNEL_SIZE, input_shape[-1], self.filters)
        )
        self.beta = self.add_weight(name="beta", shape=(self.filters,), initializer="zeros")

    def call(self, inputs):
        x = ops.conv(
            inputs,
            self.kernel,
            strides=self.stride,
            padding="same",
            data_format="channels_last",
        )
        # Other backends hold the global batch in one tensor and know no synchronisation.
        synchronized = keras.backend.backend() == "tensorflow"
        mean, variance = ops.moments(x, axes=(0, 1), synchronized=synchronized)
        x = (x - mean) * ops.rsqrt(variance + EPSILON) + self.beta
        return ops.leaky_relu(x, negative_slope=LEAKY_SLOPE)


def _array(arrays: Mapping[str, np.ndarray], name: str, shape: tuple) -> np.ndarray:
    if name not in arrays:
        raise ValueError(
            f"The classifier's weights lack {name}; found {sorted(arrays) or 'nothing'}. "
            "Pass the feature-loss network's checkpoint (loss_model.ckpt), not the denoiser's."
        )
    if tuple(arrays[name].shape) != tuple(shape):
        raise ValueError(f"{name} must have the shape {shape}, received {arrays[name].shape}.")
    return arrays[name]
