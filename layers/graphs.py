"""Which layer of a Keras model takes the output of which."""

from collections import Counter, defaultdict

import keras


def is_graph(model) -> bool:
    """Tells whether Keras knows the order in which a model calls its layers."""
    return isinstance(model, keras.Sequential) or (
        isinstance(model, keras.Model) and hasattr(model, "operations")
    )


def call_counts(model) -> Counter:
    """Returns how often each layer of a graph is called in it."""
    if isinstance(model, keras.Sequential):
        return Counter(model.layers)
    return Counter(node.operation for node in _nodes(model))


def consumers(model) -> dict:
    """Returns, for each layer of a graph, the operations that take its output.

    Layers that are called several times are left out, and those whose output leaves the model.
    """
    if isinstance(model, keras.Sequential):
        return {
            layer: [following]
            for layer, following in zip(model.layers, model.layers[1:], strict=False)
        }
    calls = call_counts(model)
    users = defaultdict(list)
    for node in _nodes(model):
        for tensor in node.input_tensors:
            users[id(tensor)].append(node.operation)
    outputs = {id(tensor) for tensor in model.outputs}
    return {
        node.operation: [user for tensor in node.outputs for user in users[id(tensor)]]
        for node in _nodes(model)
        if calls[node.operation] == 1 and outputs.isdisjoint(map(id, node.outputs))
    }


def _nodes(model) -> list:
    return [node for nodes in model._nodes_by_depth.values() for node in nodes]
