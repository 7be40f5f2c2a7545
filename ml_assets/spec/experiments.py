"""Declared experiments: a challenger that serves a share of units, and by what it is judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.duration import Duration
from ml_assets.spec.names import Identifier, not_among
from ml_assets.spec.raw_yaml import list_of, mapping_of, named_parts

ExperimentKind = Literal["canary", "ab"]
MEASURES = ("log_loss", "brier", "cost", "abstained")
BY_EXAMPLE, BY_DROP = "example_id", "drop"


class ExperimentGuardrail(Declared):
    """A measure that may not get worse by more than this, in its own unit, whatever the log loss does.

    `brier` is the squared error of a score, `cost` what `monitoring.costs` say an example costs at the threshold that
    they imply, `abstained` the share of examples that a model gives no score to.
    """

    measure: Literal["brier", "cost", "abstained"]
    max_worse: float = Field(ge=0)


class Experiment(Declared):
    """A challenger that serves a share of units instead of the champion.

    A `canary` looks for harm and is aborted by itself; an `ab` looks for a difference in either direction.

    Attributes
    ----------
    unit
        What is in one arm as a whole: `example_id`, `drop`, or a column of the examples, such as a customer.
    share
        Of the units, what the challenger serves.
    traffic
        Of all units, what the experiment takes; experiments that run at once share them out.
    compare
        `paired`: both models' losses on the same examples, since both score all of them; right where outcomes do not
        depend on the score. `arms`: each arm's own examples, as an outcome that reacts to the score asks for.
    evidence
        What counts as one independent piece: the `drop`, where its examples share a shock such as weather, or the
        `unit`.
    max_worse
        Share of the champion's log loss that the challenger may lose; it is aborted when it surely loses more.
    effect
        The smallest change that matters, as a share of the champion's log loss: what the plan before the start is for.
    level
        1 - the chance of a wrong verdict over all looks together.
    min_drops
        Matured drops before the first verdict.
    length
        Planned length; without a verdict by then it is extended by itself, once.
    """

    name: Identifier
    description: str = ""
    kind: ExperimentKind = "canary"
    unit: Identifier = BY_EXAMPLE
    share: float = Field(gt=0, lt=1)
    traffic: float = Field(default=1.0, gt=0, le=1)
    compare: Literal["paired", "arms"] = "paired"
    evidence: Literal["drop", "unit"] = "drop"
    max_worse: float = Field(default=0.01, ge=0)
    effect: float = Field(default=0.05, gt=0)
    level: float = Field(default=0.95, gt=0.5, lt=1)
    min_drops: int = Field(default=3, ge=2)
    length: Duration = timedelta(days=28)
    guardrails: tuple[ExperimentGuardrail, ...] = ()

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find guardrails that name a measure twice."""
        seen: list[Any] = []
        for place, each in enumerate(list_of(declared.get("guardrails"))):
            measure = mapping_of(each).get("measure")
            if measure in seen:
                yield ("guardrails", place, "measure"), f"found {measure!r} again; allowed: a measure once"
            seen.append(measure)


def experiment_faults(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find names that two experiments have, and lengths that hold no whole drop.

    >>> twice = [{"name": "canary"}, {"name": "canary"}]
    >>> list(experiment_faults({"experiments": twice}))
    [(('experiments', 1, 'name'), "found 'canary' again; allowed: a name once")]
    """
    seen: list[str] = []
    for place, name, _ in named_parts(declared.get("experiments")):
        if name in seen:
            yield ("experiments", place, "name"), f"found {name!r} again; allowed: a name once"
        seen.append(name)


def unit_fault(unit: object, examples: list[str]) -> str | None:
    """Say why examples have no such unit; None where they have.

    >>> unit_fault("loam_id", ["example_id", "loan_id"])
    "found 'loam_id'; allowed: example_id, drop, loan_id; nearest: loan_id"
    """
    allowed = list(dict.fromkeys([BY_EXAMPLE, BY_DROP, *examples]))
    return None if unit in allowed or not isinstance(unit, str) else not_among(unit, allowed)
