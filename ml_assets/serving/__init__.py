"""Scores batches of examples and says which model serves which drop.

It is given fitted models and feature rows; it fits nothing and computes no feature.
"""
