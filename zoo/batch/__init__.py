"""Many files on many workers: what the commands do to files, as pipelines of Apache Beam."""
