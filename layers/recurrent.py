"""A bidirectional LSTM of plain operations, which runs wherever its export is loaded."""

import contextlib

import keras
from keras import constraints, initializers, ops, regularizers

from tonezoo.arguments import integer
from tonezoo.layers.initializers import fresh
from tonezoo.layers.signal_layer import SignalLayer

DIRECTIONS = ("forward", "backward")
WEIGHTS = ("kernel", "recurrent", "bias")
OPTIONS = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}


@keras.saving.register_keras_serializable(package="tonezoo")
class BidirectionalLSTM(SignalLayer):
    """An LSTM over time in both directions, whose outputs are concatenated.

    The function of `keras.layers.Bidirectional(keras.layers.LSTM(units, return_sequences=True))`,
    masks included. The inputs' part of the gates is one matrix product over all of time, and one
    loop does both directions: on a CPU, where the recurrent weights of wide layers come from memory
    at every step, that is half of the traffic. No cuDNN: a model that was exported on a machine
    with a GPU runs on one without.

    Args:
        units: integer >= 1, outputs of a direction.
        use_bias: whether the gates have biases.
        kernel_initializer, recurrent_initializer, bias_initializer: initializers of the weights of
            either direction; each draws values of its own.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: their regularizers.
        kernel_constraint, recurrent_constraint, bias_constraint: their constraints.

    Input shape: (batch, time, channels). Output shape: (batch, time, 2 * units).

    Raises:
        ValueError: units below 1; an input known to have no samples.

    >>> import numpy as np
    >>> layer = BidirectionalLSTM(2, kernel_initializer="ones", recurrent_initializer="zeros")
    >>> print(np.array(layer(np.ones((1, 2, 1))))[0].round(2))  # what has been heard, either way
    [[0.37 0.37 0.55 0.55]
     [0.55 0.55 0.37 0.37]]
    """

    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = integer("units", units)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        cell = _BidirectionalLSTMCell(
            self.units,
            self._options("recurrent"),
            dtype=self.dtype_policy,
            name="bidirectional_lstm_cell",
        )
        self.rnn = keras.layers.RNN(cell, return_sequences=True, dtype=self.dtype_policy)

    def build(self, input_shape):
        self.fix_channels(input_shape)
        self.kernels, self.biases = [], []
        for direction in DIRECTIONS:
            kernel_shape = (input_shape[-1], 4 * self.units)
            kernel = self._options("kernel")
            self.kernels.append(_weight(self, f"{direction}_kernel", kernel_shape, kernel))
            if self.use_bias:
                bias = self._options("bias")
                self.biases.append(_weight(self, f"{direction}_bias", kernel_shape[1:], bias))
        self.rnn.build((*input_shape[:2], 8 * self.units))

    def call(self, inputs, mask=None, training=False):
        gates = [ops.matmul(inputs, kernel) for kernel in self.kernels]
        if self.use_bias:
            gates = [g + ops.convert_to_tensor(b) for g, b in zip(gates, self.biases, strict=True)]
        parts = [gates[0], ops.flip(gates[1], axis=1)]
        if mask is not None:
            valid = ops.cast(mask[:, :, None], self.compute_dtype)
            parts += [valid, ops.flip(valid, axis=1)]
        with self.rnn.cell.prepared():
            outputs = self.rnn(ops.concatenate(parts, axis=-1), training=training)
        forward, backward = ops.split(outputs, 2, axis=-1)
        return ops.concatenate([forward, ops.flip(backward, axis=1)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], 2 * self.units)

    def get_config(self):
        options = {
            f"{weight}_{option}": module.serialize(getattr(self, f"{weight}_{option}"))
            for option, module in OPTIONS.items()
            for weight in WEIGHTS
        }
        return {
            **super().get_config(),
            "units": self.units,
            "use_bias": self.use_bias,
            **options,
        }

    def _options(self, weight):
        return {option: getattr(self, f"{weight}_{option}") for option in OPTIONS}


class _BidirectionalLSTMCell(keras.layers.Layer):
    """A step of two LSTMs at once: one forwards, one backwards in time.

    Inputs: gates (batch, 2 * 4 * units), the inputs' part of input, forget, candidate and output
    gate, first of the one direction, then of the other; behind them, where there is a mask, 1 or 0
    for each direction (batch, 2): 0 leaves its states as they are. States, twice
    (batch, 2 * units).
    """

    def __init__(self, units: int, options: dict, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.options = options
        self.state_size = [2 * units, 2 * units]
        self.output_size = 2 * units
        self._prepared = None

    def build(self, input_shape):
        shape = (self.units, 4 * self.units)
        self.recurrent_kernels = [
            _weight(self, f"{direction}_recurrent_kernel", shape, self.options)
            for direction in DIRECTIONS
        ]

    @contextlib.contextmanager
    def prepared(self):
        """Casts the recurrent kernels once for all steps, and transposes them.

        In float32 there is nothing to do. Of a kernel in bfloat16 that is not transposed, oneDNN
        makes a copy in another order at every step, which takes longer than the product.
        """
        if self.compute_dtype != "float32":
            self._prepared = tuple(map(ops.transpose, self.recurrent_kernels))
        try:
            yield
        finally:
            self._prepared = None

    def call(self, inputs, states, training=False):
        # TensorFlow makes one operation of the product and the transposition.
        kernels = map(ops.transpose, self._prepared) if self._prepared else self.recurrent_kernels
        width = 8 * self.units
        masks = [None, None]
        if inputs.shape[-1] > width:
            masks = ops.split(ops.greater(inputs[:, width:], 0.5), 2, axis=-1)
        inputs_and_states = (ops.split(x, 2, axis=-1) for x in (inputs[:, :width], *states))
        # Two products, not one of a batch of two, which TensorFlow computes on one core.
        outputs = [
            _step(*direction) for direction in zip(*inputs_and_states, kernels, masks, strict=True)
        ]
        hidden, cell = (ops.concatenate(both, axis=-1) for both in zip(*outputs, strict=True))
        return hidden, [hidden, cell]


def _step(gates, hidden, cell, recurrent_kernel, mask):
    """Returns the next (hidden, cell) of a direction, the old ones where the mask is False."""
    gates = gates + ops.matmul(hidden, recurrent_kernel)
    input_gate, forget_gate, candidate, output_gate = ops.split(gates, 4, axis=-1)
    new_cell = ops.sigmoid(forget_gate) * cell + ops.sigmoid(input_gate) * ops.tanh(candidate)
    new_hidden = ops.sigmoid(output_gate) * ops.tanh(new_cell)
    if mask is None:
        return new_hidden, new_cell
    return ops.where(mask, new_hidden, hidden), ops.where(mask, new_cell, cell)


def _weight(layer, name, shape, options):
    options = {**options, "initializer": fresh(options["initializer"])}
    return layer.add_weight(name=name, shape=shape, **options)
