"""All stateful input and output: lake tables, model registry, landing folder, deliveries, locks, sandboxed SQL.

It keeps and returns what it is given; what the contents mean is decided in the rooms below.
"""
