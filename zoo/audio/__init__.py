"""Audio files and signals: reading, writing, resampling, and running over many files."""

# The usual four of music, in the order of papers and of stem files.
SOURCES = ("drums", "bass", "other", "vocals")
