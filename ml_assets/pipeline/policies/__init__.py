"""Retraining policies tried on a use case's own history."""
