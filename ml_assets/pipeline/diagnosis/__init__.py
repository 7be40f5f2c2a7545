"""Why the quality of a champion changed, and what would help."""
