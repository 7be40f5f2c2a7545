"""Predictions, shadow predictions and worklists of drops."""
