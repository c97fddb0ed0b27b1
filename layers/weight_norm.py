"""Weight normalisation: the length of a kernel as a parameter of its own."""

import keras
from keras import ops

# Of a kernel's squared length: one of zeros stays zeros.
LEAST_SQUARE = 1e-24


@keras.saving.register_keras_serializable(package="tonezoo")
class WeightNorm(keras.layers.Wrapper):
    """Makes a layer compute with gain * v / |v| in place of its kernel v.

    |v| is the Euclidean norm over all axes but the last, each of whose entries has a gain: those of
    the outputs of a convolution or a dense layer, those of the inputs of a transposed convolution.
    The gains start as the norms, so that the layer starts as it is without.

    Args:
        layer: with a weight `kernel`, such as Conv1D, TransposedConv1D or Dense.

    Input and output: those of the layer.

    Raises:
        ValueError: the layer has no kernel.

    Source: Salimans and Kingma, "Weight normalization", 2016; Kumar et al., "MelGAN", 2019.

    >>> import numpy as np
    >>> layer = WeightNorm(keras.layers.Dense(1, kernel_initializer="ones"))
    >>> x = np.ones((1, 4))
    >>> before = float(layer(x)[0, 0])
    >>> _ = layer.gain.assign([1.0])  # of a kernel of length 2
    >>> print(before, float(layer(x)[0, 0]))
    4.0 2.0
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, autocast=False, **{"dtype": layer.dtype_policy, **kwargs})

    def build(self, input_shape=None):
        super().build(input_shape)
        kernel = self._kernel()
        self.gain = self.add_weight(
            name="gain", shape=kernel.shape[-1:], initializer=lambda shape, dtype: self._norms()
        )

    def call(self, inputs):
        values = {variable.path: variable.value for variable in self.layer.variables}
        values[self._kernel().path] = self.normalised_kernel()
        pairs = [(variable, values[variable.path]) for variable in self.layer.variables]
        with keras.StatelessScope(state_mapping=pairs):
            return self.layer(inputs)

    def normalised_kernel(self):
        """Returns the kernel that the layer computes with."""
        return ops.convert_to_tensor(self._kernel()) * (self.gain / self._norms())

    def restart(self) -> None:
        """Makes the gains the norms of the kernel that is there, which is then computed with."""
        self.gain.assign(self._norms())

    def compute_mask(self, inputs, previous_mask):
        return self.layer.compute_mask(inputs, previous_mask)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        # Keras takes the layer out of what it is given.
        return super().from_config(dict(config), custom_objects)

    def _kernel(self):
        kernels = [variable for variable in self.layer.variables if variable.name == "kernel"]
        if len(kernels) != 1:
            raise ValueError(
                f"WeightNorm takes a layer with one kernel, such as Conv1D or Dense. Received "
                f"{type(self.layer).__name__} with {len(kernels)}"
            )
        return kernels[0]

    def _norms(self):
        """Returns the lengths of v, those of zeros almost 0, (entries of the last axis,)."""
        kernel = ops.convert_to_tensor(self._kernel())
        squares = ops.sum(ops.square(kernel), axis=tuple(range(len(kernel.shape) - 1)))
        return ops.sqrt(ops.maximum(squares, LEAST_SQUARE))
