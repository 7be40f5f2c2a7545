"""The clock on the wall, read in one place: Dagster's own, which also stamps runs and ticks. Lower rooms read none."""

from dagster._time import get_current_datetime as now

__all__ = ["now"]
