"""Tonal and filtering artifacts: of layers, of whole models, and of audio alone."""
