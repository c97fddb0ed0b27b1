"""Training data: split, decoding, cache, batches, augmentation."""
