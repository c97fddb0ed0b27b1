"""The models, one file each: blocks, model, presets and entry, in the order of the papers.

Where that would be long, as that of Demucs, the blocks are in a file beside it.
"""
