"""The two jobs of a use case as plain functions: the steps of a batch and of a retraining, in order."""
