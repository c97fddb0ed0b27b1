"""The checkpoint finds every variable by what it is, not by its place."""

import keras
import numpy as np
import pytest

from tonezoo.recipes.experiment import CheckpointFile, Experiment, Phase, Position


class Pair(keras.Model):
    """Two layers of equal shapes, made and built in either order."""

    def __init__(self, order):
        super().__init__()
        for name in order:
            setattr(self, name, keras.layers.Dense(3))
        self.dropout = keras.layers.Dropout(0.5)

    def build(self, shape):
        for layer in self.layers:
            layer.build(shape)
        self.built = True

    def call(self, x, training=False):
        return self.dropout(self.second(keras.ops.tanh(self.first(x))), training=training)


def adam():
    return keras.optimizers.Adam(0.1)


def experiment(order, make=adam):
    """A pair trained for two steps on noise."""
    model = Pair(order)
    model.build((None, 3))
    model.compile(make(), loss="mse", run_eagerly=True, auto_scale_loss=False)
    model.optimizer.build(model.trainable_variables)
    x, y = np.random.default_rng(0).standard_normal((2, 8, 3)).astype("float32")
    model.fit(x, y, epochs=2, verbose=0)
    phase = Phase(
        name="pair", model=model, steps_per_epoch=1, epochs=2, time_share=1.0, dataset=None
    )
    return Experiment(
        phases=[phase],
        networks={"pair": model},
        optimizers=[model.optimizer],
        global_batch=8,
        data_fingerprint="",
        start=lambda: None,
    )


def moments(pair, layer):
    """Adam's mean gradient of a layer's kernel, by Keras's own index."""
    optimizer, kernel = pair.optimizers[0], getattr(pair.networks["pair"], layer).kernel
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return np.asarray(optimizer._momentums[optimizer._get_variable_index(kernel)])


@pytest.mark.parametrize("scaled", [False, True])
def test_layers_in_another_order_get_their_own_weights_and_moments(tmp_path, scaled):
    def make():
        return keras.optimizers.LossScaleOptimizer(adam()) if scaled else adam()

    one, other = experiment(("first", "second"), make), experiment(("second", "first"), make)
    saved = CheckpointFile(tmp_path / "checkpoint.npz")
    saved.save(one, Position(phase=0, step=2))
    assert saved.restore(other.state()) == Position(phase=0, step=2)
    for layer in ("first", "second"):
        kernels = [getattr(e.networks["pair"], layer).kernel for e in (one, other)]
        np.testing.assert_array_equal(*map(np.asarray, kernels))
        assert np.abs(moments(one, layer)).max() > 0
        np.testing.assert_array_equal(moments(one, layer), moments(other, layer))
    assert not np.array_equal(moments(one, "first"), moments(one, "second"))


def test_names_do_not_depend_on_what_the_process_made_before():
    one, other = experiment(("first", "second")).state(), experiment(("first", "second")).state()
    assert list(one) == list(other)
    assert {"pair/first/kernel", "pair/dropout/seed_generator/seed_generator_state"} < set(one)
    assert {"optimizer_0/pair/first/kernel/momentum", "optimizer_0/iteration"} < set(one)
    assert len(one) == len({id(variable) for variable in one.values()})


def test_random_states_of_one_backend_are_taken_by_the_other(tmp_path):
    from tonezoo.recipes.experiment import assign_state

    class State:
        shape, value = (2,), None

        def __init__(self, dtype):
            self.dtype = dtype

        def assign(self, value):
            self.value = value

    for ours, theirs in (("uint32", "int64"), ("int64", "uint32")):
        state = State(ours)
        assign_state({"seed": state}, {"seed": np.array([1, 2], theirs)}, tmp_path)
        assert state.value.tolist() == [1, 2]
