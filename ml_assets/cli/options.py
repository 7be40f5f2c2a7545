"""Arguments and options that several commands take."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

UseCaseName = Annotated[str, typer.Argument(help="Name of the use case, which is that of its folder.")]
From = Annotated[str, typer.Option("--from", help="First drop, as YYYY-MM-DD.")]
To = Annotated[str, typer.Option("--to", help="Last drop, included.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]


class PredictedTask(StrEnum):
    """The tasks that `new` begins."""

    BINARY = "binary"
    REGRESSION = "regression"
    COUNT = "count"
