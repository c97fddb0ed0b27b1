"""Super-resolution: a low-rate recording in, a high-rate one out."""
