"""The two jobs of a use case."""


def batch_job_name(use_case: str) -> str:
    """Name the job that takes drops from landing to predictions."""
    return f"{use_case}_batch"


def retrain_job_name(use_case: str) -> str:
    """Name the job that goes from training set to champion."""
    return f"{use_case}_retrain"
