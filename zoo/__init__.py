"""tonezoo: neural audio models for Keras 3 whose upsampling layers are understood and measured."""

import importlib

from tonezoo.registration import register_when_keras_is_imported

__version__ = "0.1.0"

# Imported on first use: `import tonezoo` must not wait for TensorFlow.
_LAZY = {
    "create_model": "tonezoo.registry",
    "list_models": "tonezoo.registry",
    "count_parameters": "tonezoo.registry",
    "from_pretrained": "tonezoo.pretrained",
    "list_pretrained": "tonezoo.pretrained",
    "load": "tonezoo.pretrained",
    "enhance": "tonezoo.tasks.super_resolution.array",
    "separate": "tonezoo.tasks.separation.array",
    "vocode": "tonezoo.tasks.vocoding.array",
    "export": "tonezoo.serving.export",
    "verify": "tonezoo.serving.verify",
}
_LAZY_PACKAGES = ("layers", "training")

__all__ = ["__version__", *_LAZY, *_LAZY_PACKAGES]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _LAZY_PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'tonezoo' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY, *_LAZY_PACKAGES])


register_when_keras_is_imported()
