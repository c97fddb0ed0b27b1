"""The signature by which a served model states the facts needed to run it."""

import json
from collections.abc import Callable, Mapping
from typing import Any

FACTS_SIGNATURE, FACTS_INPUT, FACTS_OUTPUT = "facts", "query", "manifest_json"


def facts_signature(facts: Mapping[str, Any]) -> Callable:
    """Returns a function of TensorFlow from strings (batch,) to the facts as JSON, (batch,).

    What is asked makes no difference; one answer for each question, so that a server may batch
    them.

    Args:
        facts: the task and its facts, as a manifest states them.
    """
    import tensorflow as tf

    text = json.dumps(facts, sort_keys=True)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name=FACTS_INPUT)])
    def signature(query):
        return {FACTS_OUTPUT: tf.fill(tf.shape(query), text)}

    return signature
