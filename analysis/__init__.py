"""Metrics, evaluation and pictures of audio models."""
