"""The training step on each backend: a TensorFlow tape, or a JAX function of explicit state.

Both drive the same functions of a trainer:

- `trainer.unpack(data)` gives input and target of a batch;
- `trainer.losses_and_figures(x, y, training)` gives the loss of each network that learns, by name,
  what is to be logged, by name, and the output;
- `trainer.trained_networks` is name -> (network, optimizer);
- `trainer.record(x, y, output, figures)` updates the metrics and returns the logs.
"""

from collections.abc import Sequence

import keras
from keras import ops

# Behind the name of a network: how its gradients are logged, which only training has.
GRADIENT_NORM = "_gradient_norm"


def train_step(trainer, *arguments):
    """Returns what Keras wants of `train_step`: logs, and on JAX the new state after them."""
    step = _jax_train_step if keras.backend.backend() == "jax" else _tensorflow_train_step
    return step(trainer, *arguments)


def test_step(trainer, *arguments):
    """Returns what Keras wants of `test_step`: logs, and on JAX the new state after them."""
    if keras.backend.backend() != "jax":
        return _score(trainer, *arguments)
    state, data = arguments
    current = _State(
        state,
        trainer.trainable_variables,
        trainer.non_trainable_variables,
        trainer.metrics_variables,
    )
    with current.scope() as scope:
        logs = _score(trainer, data)
    current.take(scope)
    return logs, current.lists()


def _score(trainer, data):
    x, y = trainer.unpack(data)
    _, figures, output = trainer.losses_and_figures(x, y, training=False)
    logs = trainer.record(x, y, output, figures)
    return {name: value for name, value in logs.items() if not name.endswith(GRADIENT_NORM)}


def _tensorflow_train_step(trainer, data):
    import tensorflow as tf

    x, y = trainer.unpack(data)
    trained = trainer.trained_networks
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    with tf.GradientTape(persistent=True) as tape:
        losses, figures, output = trainer.losses_and_figures(x, y, training=True)
        # Optimizers add the replicas' gradients up: the mean over the global batch needs each
        # replica's share.
        scaled = {
            name: optimizer.scale_loss(losses[name] / replicas)
            for name, (_, optimizer) in trained.items()
        }
    for name, (network, optimizer) in trained.items():
        variables = network.trainable_variables
        gradients = tape.gradient(scaled[name], [variable.value for variable in variables])
        figures[name + GRADIENT_NORM] = replicas * _norm(gradients, optimizer)
        optimizer.apply(gradients, variables)
    return trainer.record(x, y, output, figures)


def _jax_train_step(trainer, state, data):
    import jax

    x, y = trainer.unpack(data)
    trained = trainer.trained_networks
    current = _State(
        state,
        trainer.trainable_variables,
        trainer.non_trainable_variables,
        trainer.optimizer.variables,
        trainer.metrics_variables,
    )
    weights = {
        name: current.of(network.trainable_variables) for name, (network, _) in trained.items()
    }

    def scaled_losses(weights):
        moved = current.copy()
        for name, (network, _) in trained.items():
            moved.put(network.trainable_variables, weights[name])
        with moved.scope() as scope:
            losses, figures, output = trainer.losses_and_figures(x, y, training=True)
            scaled = {
                name: optimizer.scale_loss(losses[name]) for name, (_, optimizer) in trained.items()
            }
        moved.take(scope)
        return scaled, (figures, output, moved.of(trainer.non_trainable_variables))

    # jax.value_and_grad of several losses at once, of which each network follows its own.
    scaled, gradients_of, aux = jax.vjp(scaled_losses, weights, has_aux=True)
    figures, output, non_trainable = aux
    current.put(trainer.non_trainable_variables, non_trainable)
    for name, (network, optimizer) in trained.items():
        only = {
            other: (ops.ones_like if other == name else ops.zeros_like)(loss)
            for other, loss in scaled.items()
        }
        gradients = gradients_of(only)[0][name]
        with current.scope():
            figures[name + GRADIENT_NORM] = _norm(gradients, optimizer)
        new_weights, new_optimizer = optimizer.stateless_apply(
            current.of(optimizer.variables), gradients, weights[name]
        )
        current.put(network.trainable_variables, new_weights)
        current.put(optimizer.variables, new_optimizer)
    with current.scope() as scope:
        logs = trainer.record(x, y, output, figures)
    current.take(scope)
    return logs, current.lists()


def _norm(gradients, optimizer):
    """Returns the norm of all gradients, taken out of the optimizer's loss scale."""
    squares = [ops.sum(ops.square(gradient)) for gradient in gradients if gradient is not None]
    return ops.sqrt(sum(squares)) / optimizer.scale_loss(1.0)


class _State:
    """The values of variables, which a function for JAX takes and returns.

    Args:
        values: a list for each group.
        groups: the variables.
    """

    def __init__(self, values: Sequence[Sequence], *groups: Sequence):
        self.groups = groups
        self.values: dict[int, object] = {}
        for variables, given in zip(groups, values, strict=True):
            self.put(variables, given)

    def copy(self) -> "_State":
        return _State(self.lists(), *self.groups)

    def scope(self) -> keras.StatelessScope:
        """Returns a scope in which the variables have these values."""
        return keras.StatelessScope(
            [(v, self.values[id(v)]) for variables in self.groups for v in variables]
        )

    def take(self, scope: keras.StatelessScope) -> None:
        """Takes over the values that a scope ended with."""
        for variables in self.groups:
            self.put(variables, [scope.get_current_value(v) for v in variables])

    def of(self, variables: Sequence) -> list:
        return [self.values[id(variable)] for variable in variables]

    def put(self, variables: Sequence, values: Sequence) -> None:
        self.values |= {id(v): value for v, value in zip(variables, values, strict=True)}

    def lists(self) -> tuple[list, ...]:
        return tuple(self.of(variables) for variables in self.groups)
