"""Gradients of a layer on whichever backend Keras runs."""

import functools

import keras
import numpy as np
from keras import ops


def weighted_sum(y):
    """Returns a loss that tells the outputs apart but not the examples of a batch."""
    weights = np.random.default_rng(0).standard_normal(y.shape[1:])
    return ops.sum(ops.cast(y, "float32") * ops.convert_to_tensor(weights, "float32"))


def gradients(layer, x) -> tuple:
    """Returns the output and the gradients of `weighted_sum` to the input and all variables.

    In inference mode, in which a bias before batch normalization has a gradient and dropout
    draws nothing.
    """
    return globals()[f"_{keras.backend.backend()}_gradients"](layer, x)


def _tensorflow_gradients(layer, x):
    import tensorflow as tf

    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = weighted_sum(y)
    return y, tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])


def _torch_gradients(layer, x):
    x = ops.convert_to_tensor(x).requires_grad_(True)
    layer.zero_grad()
    y = layer(x)
    weighted_sum(y).backward()
    return y, [x.grad, *(v.value.grad for v in layer.trainable_variables)]


def _jax_gradients(layer, x):
    import jax

    fixed = [v.value for v in layer.non_trainable_variables]

    @jax.jit
    @functools.partial(jax.grad, has_aux=True, argnums=(0, 1))
    def both(x, trainable):
        y, _ = layer.stateless_call(trainable, fixed, x)
        return weighted_sum(y), y

    (dx, dv), y = both(ops.convert_to_tensor(x), [v.value for v in layer.trainable_variables])
    return y, [dx, *dv]
