"""tonezoo: neural audio models for Keras 3 whose upsampling layers are understood and measured."""

import importlib

__version__ = "0.1.0"

# Imported on first use: `import tonezoo` must not wait for TensorFlow.
_LAZY = {
    "create_model": "tonezoo.registry",
    "list_models": "tonezoo.registry",
    "count_parameters": "tonezoo.registry",
    "enhance": "tonezoo.tasks.super_resolution.array",
    "separate": "tonezoo.tasks.separation.array",
    "load": "tonezoo.serving.export",
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'tonezoo' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])
