"""The console logger of runs."""

import logging

import dagster as dg
from dagster._utils.log import create_console_logger

BY_DEFAULT = {"console": {}}  # in a run's configuration; a run without it prints all that its event log keeps
_CONFIG = {"log_level": dg.Field(str, default_value="WARNING", description="The least level that is printed.")}


@dg.logger(config_schema=_CONFIG, description="Prints warnings and errors of a run; the event log keeps everything.")
def quiet_console(context: dg.InitLoggerContext) -> logging.Logger:
    """Print from the configured level on, so that the terminal of `ml-assets ui` stays readable."""
    return create_console_logger(name="dagster", level=context.logger_config["log_level"])
