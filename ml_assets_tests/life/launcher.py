"""A run launcher for a life: what the queue lets go waits here until the driver executes it, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster._config import UserConfigSchema
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClass, ConfigurableClassData


class WaitingLauncher(RunLauncher, ConfigurableClass):
    """Remembers the runs that the queue launched, in order."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self.launched: list[str] = []
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Give where the instance's settings name this class."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Take no setting."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> WaitingLauncher:
        """Make one for an instance."""
        return cls(inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Let a run wait for the driver."""
        self.launched.append(context.dagster_run.run_id)

    def terminate(self, run_id: str) -> bool:
        """Take a run back that has not begun."""
        if run_id not in self.launched:
            return False
        self.launched.remove(run_id)
        return True
