"""A bidirectional LSTM of plain operations, which runs wherever its export is loaded."""

import keras
from keras import initializers, ops

DIRECTIONS = ("forward", "backward")


@keras.saving.register_keras_serializable(package="tonezoo")
class BidirectionalLSTMCell(keras.layers.Layer):
    """A step of two LSTMs at once: one forwards, one backwards in time.

    Args:
        units: outputs of a direction.
        initializer: of the recurrent weights.

    Inputs: gates (batch, 2 * 4 * units), the inputs' part of input, forget, cell and output gates,
    first of the one direction, then of the other; states, twice (batch, 2 * units).
    """

    def __init__(self, units: int, initializer, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.initializer = initializers.get(initializer)
        self.state_size = [2 * units, 2 * units]
        self.output_size = 2 * units

    def build(self, input_shape):
        self.recurrent_kernels = [
            self.add_weight(
                name=f"{direction}_recurrent_kernel",
                shape=(self.units, 4 * self.units),
                initializer=self.initializer.clone(),
            )
            for direction in DIRECTIONS
        ]

    def call(self, gates, states, training=False):
        outputs = []
        # Two products, not one of a batch of two, which TensorFlow computes on one core.
        for gates_, hidden, cell, kernel in zip(
            *(ops.split(x, 2, axis=-1) for x in (gates, *states)),
            self.recurrent_kernels,
            strict=True,
        ):
            gates_ = gates_ + ops.matmul(hidden, kernel)
            enter, forget, candidate, leave = ops.split(gates_, 4, axis=-1)
            cell = ops.sigmoid(forget) * cell + ops.sigmoid(enter) * ops.tanh(candidate)
            outputs.append((ops.sigmoid(leave) * ops.tanh(cell), cell))
        hidden, cell = (ops.concatenate(both, axis=-1) for both in zip(*outputs, strict=True))
        return hidden, [hidden, cell]

    def get_config(self):
        initializer = initializers.serialize(self.initializer)
        return {**super().get_config(), "units": self.units, "initializer": initializer}


@keras.saving.register_keras_serializable(package="tonezoo")
class BidirectionalLSTM(keras.layers.Layer):
    """An LSTM over time in both directions, whose outputs are concatenated.

    The function of `keras.layers.Bidirectional(keras.layers.LSTM(units, return_sequences=True))`.
    The inputs' part of the gates is one matrix product over all of time, and one loop does both
    directions: on a CPU, where the recurrent weights of wide layers come from memory at every step,
    that is half of the traffic. No cuDNN: a model that was exported on a machine with a GPU runs on
    one without.

    Args:
        units: outputs of a direction.
        use_bias: whether the gates have biases.
        initializer: of all weights and biases.

    Input shape: (batch, time, channels). Output shape: (batch, time, 2 * units).

    Example:

    >>> import numpy as np
    >>> BidirectionalLSTM(3)(np.zeros((1, 10, 4), "float32")).shape
    TensorShape([1, 10, 6])
    """

    def __init__(self, units: int, use_bias: bool = True, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.use_bias = use_bias
        self.initializer = initializers.get(initializer)
        cell = BidirectionalLSTMCell(units, self.initializer, dtype=self.dtype_policy)
        self.rnn = keras.layers.RNN(cell, return_sequences=True, dtype=self.dtype_policy)

    def build(self, input_shape):
        self.kernels, self.biases = [], []
        for direction in DIRECTIONS:
            self.kernels.append(self._weight(f"{direction}_kernel", input_shape[-1]))
            if self.use_bias:
                self.biases.append(self._weight(f"{direction}_bias"))
        self.rnn.build((*input_shape[:2], 8 * self.units))

    def _weight(self, name, *channels):
        # A clone draws values of its own; one instance draws the same ones each time.
        initializer = self.initializer.clone()
        return self.add_weight(
            name=name, shape=(*channels, 4 * self.units), initializer=initializer
        )

    def call(self, x, training=False):
        gates = [ops.matmul(x, kernel) for kernel in self.kernels]
        if self.use_bias:
            gates = [g + ops.convert_to_tensor(b) for g, b in zip(gates, self.biases, strict=True)]
        gates = ops.concatenate([gates[0], ops.flip(gates[1], axis=1)], axis=-1)
        forward, backward = ops.split(self.rnn(gates, training=training), 2, axis=-1)
        return ops.concatenate([forward, ops.flip(backward, axis=1)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], 2 * self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "use_bias": self.use_bias,
            "initializer": initializers.serialize(self.initializer),
        }
