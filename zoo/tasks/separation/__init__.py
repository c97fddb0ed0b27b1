"""Source separation: a mixture in, its sources out."""
