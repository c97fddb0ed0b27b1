"""Procedural training data: speech-like clips, and songs with their stems."""
