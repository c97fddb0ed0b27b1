"""tonezoo: neural audio models for Keras 3 whose upsampling layers are understood and measured."""

__version__ = "0.1.0"
