"""Finds interpolation followed by a convolution in a Keras model, and computes both as one."""

from collections.abc import Iterator

import keras

from tonezoo.layers.graphs import call_counts, consumers, is_graph
from tonezoo.layers.interpolate import Interpolate1D
from tonezoo.layers.interpolated_conv import InterpolatedConv1D

# What a convolution must have to be folded.
FIXED = {
    "strides": (1,),
    "padding": "same",
    "data_format": "channels_last",
    "dilation_rate": (1,),
    "groups": 1,
}
# Interpolators whose polyphase form has zeros at its ends and no weights of its own.
METHODS = ("nearest", "linear", "stretch")


def fold_upsampling(model: keras.Model) -> keras.Model:
    """Returns the model with each upsampling and the convolution after it as one layer.

    A `keras.layers.UpSampling1D`, or an `Interpolate1D`, that is followed by nothing but
    `keras.layers.Conv1D` with padding "same" becomes an `InterpolatedConv1D` with the name and the
    weights of the convolution. It computes the same numbers at the low rate, so that nothing has to
    be trained again. Everything else stays as it is: other paddings, strides, dilations and groups,
    layers that are used in several places, cubic, sinc and kaiser interpolation, whose folded form
    would have other ends, and learned interpolation.

    Args:
        model: `keras.Sequential` or functional, built; models inside it are folded as well.

    Returns:
        A new model with copies of the weights, not compiled.

    Raises:
        ValueError: a model of another kind or not built, or one with nothing to fold.

    >>> import numpy as np
    >>> model = keras.Sequential([
    ...     keras.Input((None, 2)),
    ...     keras.layers.UpSampling1D(4),
    ...     keras.layers.Conv1D(3, 9, padding="same"),
    ... ])
    >>> folded = fold_upsampling(model)
    >>> [type(layer).__name__ for layer in folded.layers]
    ['InterpolatedConv1D']
    >>> x = np.random.default_rng(0).standard_normal((1, 50, 2))
    >>> bool(np.allclose(folded(x), model(x), atol=1e-5))
    True
    """
    if not is_graph(model) or not model.built:
        raise ValueError(
            "Only Sequential and functional models can be folded, built ones. Received: "
            f"{model.name}, a {type(model).__name__}. Where layers are called in a method of "
            "yours, use InterpolatedConv1D there."
        )
    copies: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []
    folded = _folded(model, copies)
    if all(type(new) is type(old) for old, new in copies):
        raise ValueError(
            f"There is nothing to fold in {model.name}: no UpSampling1D or Interpolate1D that is "
            'followed by Conv1D layers alone, of padding "same" and without strides, dilations or '
            "groups."
        )
    for old, new in copies:
        new.set_weights(old.get_weights())
    return folded


def _folded(model, copies: list):
    """Returns a copy of a model without its weights, and adds (layer, its copy) to the list."""
    upsampling_before = dict(_pairs(model))
    left_out = set(upsampling_before.values())

    def clone(layer):
        if layer in left_out or not isinstance(layer, keras.layers.Layer):
            return layer
        if is_graph(layer):
            return _folded(layer, copies)
        upsampling = upsampling_before.get(layer)
        if upsampling is None:
            new = type(layer).from_config(layer.get_config())
        else:
            new = _combined(upsampling, layer)
        new.trainable = layer.trainable
        copies.append((layer, new))
        return new

    if isinstance(model, keras.Sequential):
        first = keras.Input(batch_shape=model.inputs[0].shape, dtype=model.inputs[0].dtype)
        kept = [clone(layer) for layer in model.layers if layer not in left_out]
        return keras.Sequential([first, *kept], name=model.name)
    return keras.models.clone_model(
        model,
        clone_function=clone,
        call_function=lambda layer, *inputs, **options: (
            inputs[0] if layer in left_out else layer(*inputs, **options)
        ),
    )


def _combined(upsampling, conv) -> InterpolatedConv1D:
    """Returns a new layer that computes what an upsampling and a convolution after it do."""
    config = {name: value for name, value in conv.get_config().items() if name not in FIXED}
    if isinstance(upsampling, Interpolate1D):
        names = ("factor", "method", "grid")
        how = {name: getattr(upsampling, name) for name in names}
    else:
        how = {"factor": upsampling.size, "method": "nearest"}
    return InterpolatedConv1D.from_config({**config, **how, "ends": "zeros"})


def _pairs(model) -> Iterator[tuple[keras.layers.Layer, keras.layers.Layer]]:
    """Yields each convolution that can be folded, and the upsampling before it."""
    calls = call_counts(model)
    for upsampling, after in consumers(model).items():
        if _is_upsampling(upsampling) and all(
            _is_foldable(conv) and calls[conv] == 1 for conv in after
        ):
            for conv in after:
                yield conv, upsampling


def _is_upsampling(layer) -> bool:
    if type(layer) is Interpolate1D:
        return layer.factor > 1 and layer.method in METHODS
    return type(layer) is keras.layers.UpSampling1D and layer.size > 1


def _is_foldable(layer) -> bool:
    return type(layer) is keras.layers.Conv1D and all(
        getattr(layer, name) == value for name, value in FIXED.items()
    )
