"""The assets and their checks: each calls one step of the pipeline and describes its result."""
