"""Exported models: SavedModels with their manifests, signatures and golden outputs."""
