"""Use cases whose labels are numbers, made by `new --task` with its defaults, and run without the graph."""
