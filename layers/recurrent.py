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
        # Copies, since a custom gradient must not be given variables.
        kernels = [ops.copy(kernel) for kernel in self.rnn.cell.recurrent_kernels]
        gates = ops.concatenate(parts, axis=-1)
        if keras.backend.backend() == "tensorflow":
            hidden = ops.custom_gradient(self._with_gradient)(gates, *kernels)
        else:
            hidden, _ = self._recurrence(gates, kernels)
        forward, backward = ops.split(hidden, 2, axis=-1)
        return ops.concatenate([forward, ops.flip(backward, axis=1)], axis=-1)

    def _recurrence(self, gates, kernels):
        """Returns the hidden and the cell states, each (batch, time, 2 * units)."""
        with self.rnn.cell.prepared(kernels):
            return ops.split(self.rnn(gates), 2, axis=-1)

    def _with_gradient(self, gates, *kernels):
        """Returns the hidden states, and what computes the gradients of gates and kernels.

        The gradient that TensorFlow makes of the loop adds to those of the kernels at every step,
        which on a CPU takes longer than all else.
        """
        hidden, cell = self._recurrence(gates, kernels)

        def gradient(upstream):
            return _recurrence_gradients(gates, kernels, hidden, cell, upstream)

        return hidden, gradient

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
    for each direction (batch, 2): 0 leaves its states as they are. States, hidden and cell,
    (batch, 2 * units) each; output: both, (batch, 4 * units), since the gradient needs the cells'.
    """

    def __init__(self, units: int, options: dict, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.options = options
        self.state_size = [2 * units, 2 * units]
        self.output_size = 4 * units
        self._prepared = None

    def build(self, input_shape):
        shape = (self.units, 4 * self.units)
        self.recurrent_kernels = [
            _weight(self, f"{direction}_recurrent_kernel", shape, self.options)
            for direction in DIRECTIONS
        ]

    @property
    def _transposes(self) -> bool:
        return self.compute_dtype in ("bfloat16", "float16")

    @contextlib.contextmanager
    def prepared(self, kernels):
        """Makes the recurrent kernels ready for all steps; without it the cell has none.

        Of a kernel in half precision that is not transposed, oneDNN makes a copy in another order
        at every step, which takes longer than the product.
        """
        self._prepared = list(map(ops.transpose, kernels)) if self._transposes else kernels
        try:
            yield
        finally:
            self._prepared = None

    def call(self, inputs, states):
        # TensorFlow makes one operation of the product and the transposition.
        kernels = map(ops.transpose, self._prepared) if self._transposes else self._prepared
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
        return ops.concatenate([hidden, cell], axis=-1), [hidden, cell]


def _step(gates, hidden, cell, recurrent_kernel, mask):
    """Returns the next (hidden, cell) of a direction, the old ones where the mask is False."""
    gates = gates + ops.matmul(hidden, recurrent_kernel)
    input_gate, forget_gate, candidate, output_gate = ops.split(gates, 4, axis=-1)
    new_cell = ops.sigmoid(forget_gate) * cell + ops.sigmoid(input_gate) * ops.tanh(candidate)
    new_hidden = ops.sigmoid(output_gate) * ops.tanh(new_cell)
    if mask is None:
        return new_hidden, new_cell
    return ops.where(mask, new_hidden, hidden), ops.where(mask, new_cell, cell)


def _recurrence_gradients(gates, kernels, hidden, cell, upstream):
    """Returns the gradients of gates and kernels by those of the hidden states.

    What a step needs of the gates is computed for all of time at once; the loop passes on the
    gradients of the states alone, and those of the kernels are one product each.
    """
    batch, time, units = ops.shape(hidden)[0], ops.shape(hidden)[1], kernels[0].shape[0]

    def by_direction(x, *shape):
        return ops.reshape(x, (batch, time, 2, *shape, units))

    def before(x):
        return ops.pad(x[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))

    old_hidden, new_cell = before(by_direction(hidden)), by_direction(cell)
    products = [ops.matmul(old_hidden[:, :, i], kernel) for i, kernel in enumerate(kernels)]
    sums = by_direction(gates[:, :, : 8 * units], 4)
    sums = sums + by_direction(ops.concatenate(products, axis=-1), 4)
    slopes, kept = _step_slopes(sums, before(new_cell), new_cell)
    masks = gates.shape[-1] - 8 * units
    if masks:
        valid = ops.cast(gates[:, :, 8 * units :, None] > 0.5, hidden.dtype)
        slopes = [slope * valid for slope in slopes]
        # Not (share * valid + 1) - valid, which rounds in half precision.
        kept = [share * valid + (1 - valid) for share in kept]
    transposed = [ops.transpose(kernel) for kernel in kernels]

    def of_sums(slopes, by_hidden, by_cell):
        """(..., direction, unit) -> (..., direction, gate, unit)."""
        *of_cell, of_hidden = slopes
        return ops.stack([*(slope * by_cell for slope in of_cell), of_hidden * by_hidden], axis=-2)

    def step(states, now):
        by_hidden, by_cell = states
        *slopes, cell_slope, kept_cell, kept_hidden, upstream = ops.unstack(now, axis=2)
        by_hidden = by_hidden + upstream
        by_cell = by_cell + by_hidden * cell_slope
        by_sums = ops.unstack(of_sums(slopes, by_hidden, by_cell), axis=1)
        passed = [
            ops.matmul(ops.reshape(part, (batch, 4 * units)), kernel)
            for part, kernel in zip(by_sums, transposed, strict=True)
        ]
        earlier = kept_hidden * by_hidden + ops.stack(passed, axis=1)
        # What a step gives must have the states' shapes.
        return (earlier, kept_cell * by_cell), (by_hidden, by_cell)

    zeros = ops.zeros((batch, 2, units), hidden.dtype)
    # In one array: Keras's scan takes several only where the number of steps is known.
    steps = ops.stack([*slopes, *kept, by_direction(upstream)], axis=3)
    _, by_states = ops.scan(step, (zeros, zeros), ops.moveaxis(steps, 1, 0), reverse=True)
    by_sums = of_sums(slopes[:4], *(ops.moveaxis(x, 0, 1) for x in by_states))
    by_gates = ops.reshape(by_sums, (batch, time, 8 * units))
    by_kernels = [
        ops.matmul(
            ops.transpose(ops.reshape(old_hidden[:, :, i], (batch * time, units))),
            ops.reshape(by_sums[:, :, i], (batch * time, 4 * units)),
        )
        for i in range(2)
    ]
    return ops.pad(by_gates, ((0, 0), (0, 0), (0, masks))), *by_kernels


def _step_slopes(sums, old_cell, new_cell):
    """Returns the derivatives of a step's states, and what they keep of the states before.

    Derivatives: of the new cell by the sums of three gates, then of the new hidden state by the sum
    of the output gate, and by the new cell. Kept: of the cell, of the hidden state.

    Args:
        sums: (batch, time, direction, gate, unit), what the gates are made of.
        old_cell, new_cell: (batch, time, direction, unit), as the results.
    """
    input_gate, forget_gate, candidate, output_gate = ops.unstack(sums, axis=3)
    input_gate, forget_gate, output_gate = map(ops.sigmoid, (input_gate, forget_gate, output_gate))
    candidate, squashed = ops.tanh(candidate), ops.tanh(new_cell)
    slopes = [
        candidate * input_gate * (1 - input_gate),
        old_cell * forget_gate * (1 - forget_gate),
        input_gate * (1 - candidate**2),
        squashed * output_gate * (1 - output_gate),
        output_gate * (1 - squashed**2),
    ]
    return slopes, [forget_gate, ops.zeros_like(forget_gate)]


def _weight(layer, name, shape, options):
    options = {**options, "initializer": fresh(options["initializer"])}
    return layer.add_weight(name=name, shape=shape, **options)
