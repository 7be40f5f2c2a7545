"""Facts in, verdict and reason out: which candidate to take, whether to promote.

Pure functions over small values: no table, model, clock or random state is read here except what is passed in.
"""
