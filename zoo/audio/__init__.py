"""Audio files and signals: reading, writing, resampling, and running over many files."""
