"""What models are for: one folder per task, with the same file names in each."""
