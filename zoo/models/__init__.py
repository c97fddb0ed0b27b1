"""The models, one file each: blocks, model, presets and entry, in the order of the papers."""
