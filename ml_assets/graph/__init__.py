"""The only room that knows Dagster: component, assets, checks, jobs and resources.

An asset loads, calls one domain function, writes and describes; no rule about data or models is decided here.
"""
