"""One function a step of the graph: it reads tables, calls a stage, writes, and returns a small frozen result.

This room knows no Dagster: the graph, the command line, notebooks and tests call the same functions. What a value is
worth is decided in the stage rooms; how a result is shown, in `reports` and `graph`.
"""
