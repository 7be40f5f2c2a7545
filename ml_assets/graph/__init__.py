"""The only room that knows Dagster: definitions, partitions, config, checks, metadata, sensors, schedules and runs.

An asset calls one step of `pipeline` and describes its result; no rule about data or models is decided here.
"""
