"""Exported models: SavedModels with manifests, signatures and golden outputs; servers of them."""

import importlib

# Imported on first use: a client has neither TensorFlow nor Keras, a model's loader no gRPC.
_LAZY = {"Client": "tonezoo.serving.client"}

__all__ = ["Client"]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'tonezoo.serving' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])
