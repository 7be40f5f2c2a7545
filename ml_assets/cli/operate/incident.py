"""The command by which a person closes an incident and says whether the alert was useful."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ml_assets.cli.console import explained_errors, fail, next_steps, print_json, say
from ml_assets.cli.operate.expected import commands
from ml_assets.cli.options import AsJson
from ml_assets.spec.names import not_among

_ANSWERS = {"yes": True, "no": False}


@commands.command()
def incident(
    what: Annotated[str, typer.Argument(help="close.")],
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="As `alerts` names it, or how it begins.")],
    useful: Annotated[str, typer.Option("--useful", help="Whether it was right to tell you: yes or no.")],
    note: Annotated[str, typer.Option("--note", help="Why, in a few words.")],
    by: Annotated[str, typer.Option("--by", help="Who says so; by default the user of this machine.")] = "",
    as_json: AsJson = False,
) -> None:
    """Close an incident, and say whether it was useful.

    Nobody is told of it again while it lasts, nor when it ends. From such answers `status`, `alerts` and `performance`
    give the share of useful alerts.
    """
    import getpass
    from datetime import UTC, datetime

    from ml_assets.decisions.alert_precision import precision_sentence
    from ml_assets.pipeline.monitoring.incident_judgements import UnknownIncidentError, close_incident, usefulness
    from ml_assets.stores.alert_file import AlertOutboxError
    from ml_assets.stores.paths import state_paths

    if what != "close":
        raise fail(not_among(what, ["close"]))
    if useful not in _ANSWERS:
        raise fail(f"--useful: {not_among(useful, list(_ANSWERS))}")
    paths, who = state_paths(), by.strip() or getpass.getuser()
    with explained_errors():
        try:
            closed = close_incident(paths, incident_id, (_ANSWERS[useful], note), who, datetime.now(UTC))
        except (UnknownIncidentError, AlertOutboxError, ValueError) as error:
            raise fail(str(error)) from error
    found = usefulness(paths, closed.use_case)["all"]
    if as_json:
        print_json({"incident": asdict(closed), "useful": _ANSWERS[useful], "note": note.strip(), "by": who,
                    "usefulness": asdict(found)})  # fmt: skip
        return
    say(f"closed {closed.incident_id}, {closed.kind.replace('_', ' ')} ({closed.monitor}) of {closed.use_case}")
    if closed.closed_at is None:
        say("what it is about still holds; it is not told again until that has ended and comes anew", indent=2)
    say(f"{closed.use_case}: {precision_sentence(found)}")
    next_steps({f"ml-assets alerts {closed.use_case} --all": "every incident, and what was said of it"})
