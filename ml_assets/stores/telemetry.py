"""Nothing that this product starts reports home."""

from __future__ import annotations

import os

_SWITCHES = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "DAGSTER_DISABLE_TELEMETRY": "1",
}


def switch_off_telemetry() -> None:
    """Set the switches of the libraries that would report usage, for this process and those it starts."""
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)
