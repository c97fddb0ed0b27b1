"""Names of variables: the same in every process, and for every order in which layers are made."""

import keras
import numpy as np
import pytest

import tonezoo
from tonezoo.variables import named_variables


@pytest.mark.parametrize("name", ["mu_gan", "mu_gan_autoencoder", "audio_unet", "demucs"])
def test_a_model_has_the_same_names_whatever_was_built_before(name):
    named = []
    for _ in range(2):
        model = tonezoo.create_model(name, preset="tiny")
        model.build((None, None, getattr(model, "channels", 1)))
        named.append(named_variables(model))
        assert all(a is b for a, b in zip(named[-1].values(), model.variables, strict=True))
    assert list(named[0]) == list(named[1])


class Pair(keras.Model):
    """Two layers of equal shapes, made in either order."""

    def __init__(self, order):
        super().__init__()
        for name in order:
            setattr(self, name, keras.layers.Dense(3))

    def build(self, shape):
        self.first.build(shape)
        self.second.build(shape)


def test_an_order_of_layers_does_not_permute_weights():
    one, other = Pair(("first", "second")), Pair(("second", "first"))
    for model in (one, other):
        model.build((None, 3))
    # What is found by its place would be another layer's.
    assert [v.path.split("/")[-2:] for v in one.variables] != [
        v.path.split("/")[-2:] for v in other.variables
    ]
    assert list(named_variables(one)) != list(named_variables(other))
    for name, variable in named_variables(one).items():
        named_variables(other)[name].assign(variable)
    np.testing.assert_array_equal(one.first.kernel, other.first.kernel)
    np.testing.assert_array_equal(one.second.kernel, other.second.kernel)


def test_two_variables_of_one_name_are_refused():
    class Twice(keras.layers.Layer):
        def build(self, shape):
            self.a, self.b = (self.add_weight(shape=(1,), name="w") for _ in "ab")

    model = keras.Sequential([Twice()])
    model.build((None, 3))
    with pytest.raises(ValueError, match="has two variables layers/0/w"):
        named_variables(model)
