"""The attributes of a use case as editors and `dg docs` show them: names and one line each, values unread."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ml_assets.spec.json_schema import declaration_schema

COMPONENT_DESCRIPTION = """A use case: the production system around one model, declared in YAML and SQL.

Sources with contracts, the rows to predict, labels, features, the model with its gate, the worklist, monitoring and
retraining become assets, checks, jobs, sensors and schedules. The attributes are checked by
`ml-assets validate`, which names every mistake with its line; `ml-assets new` writes a first declaration from files.
"""


class DeclaredAttributes(BaseModel):
    """The attributes of a use case, for people and editors: the parser in spec/ reads the file itself.

    Any value passes here, since the parser finds all mistakes, each with its line.
    """

    model_config = ConfigDict(extra="allow")

    @classmethod
    def model_json_schema(cls, *arguments: Any, **options: Any) -> dict[str, Any]:  # noqa: ARG003 - pydantic's own
        """Give the schema of a declaration: `dg check yaml` and editors know every key by it."""
        schema = declaration_schema()
        return {**schema["properties"]["attributes"], "$defs": schema["$defs"]}

    name: Any = Field(default=None, description="Name of the use case, and the first part of its asset keys.")
    description: Any = Field(default=None, description="What is predicted, and what for.")
    owners: Any = Field(default=None, description="Teams or addresses: `team:operations`, `someone@example.org`.")
    clock: Any = Field(default=None, description="`wall` in production; `data` where history is the present.")
    calendar: Any = Field(default=None, description="When batches are: start, end, every or cron, at, timezone.")
    sources: Any = Field(default=None, description="The files that arrive: columns, key, times, rules, when missing.")
    examples: Any = Field(default=None, description="The SELECT that draws the rows to predict, and its sources.")
    labels: Any = Field(default=None, description="The SELECT that draws outcomes, and how long until they are final.")
    features: Any = Field(default=None, description="Views (windows, latest values) and expressions over the example.")
    model: Any = Field(default=None, description="The candidates of candidates, the holdout, the gate, behaviours.")
    worklist: Any = Field(default=None, description="How many examples a drop are acted upon, and their order.")
    deliveries: Any = Field(default=None, description="Which tables leave as files, in which format.")
    monitoring: Any = Field(default=None, description="Windows, budget of false alarms, slices, costs.")
    retraining: Any = Field(default=None, description="When to retrain: cooldown, staleness, schedule.")
