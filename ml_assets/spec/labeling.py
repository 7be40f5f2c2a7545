"""Labeling functions and what is done with their votes, as declared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.features import EXAMPLE_COLUMNS
from ml_assets.spec.names import Identifier
from ml_assets.spec.raw_yaml import list_of, named_parts

_BINARY = (0, 1)


class LabelingFunction(Declared):
    """A rule that votes: a SQL expression over one example that gives a class, or null to abstain.

    It sees the columns of the examples and nothing else, so a vote is known at the batch of its example.
    """

    name: Identifier
    sql: str
    version: int = Field(default=1, ge=1)
    owner: str | None = None
    description: str = ""

    @property
    def definition(self) -> str:
        """What decides its votes, its version and SQL, as 12 hexadecimal digits."""
        text = f"{self.version} {' '.join(self.sql.split())}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class Annotators(Declared):
    """A source with one row an answer of a person: who answered what about which example.

    `guideline` names a column with the version of the guideline that people answered by.
    """

    source: Identifier = Field(alias="from")
    example: Identifier = Field(description="column with the example_id")
    annotator: Identifier = Field(description="column with who answered")
    label: Identifier = Field(description="column with the class; null is no answer")
    guideline: Identifier | None = None
    scale: Literal["nominal", "ordinal", "interval"] = "nominal"


class LabelingSpec(Declared):
    """Labeling functions over the examples; gold labels are those of `labels`.

    With `train`, training sets hold labeled examples without a gold label too, with a weight and a reason; holdouts
    hold gold labels alone.
    """

    owner: str | None = Field(default=None, description="who answers for functions that name no other")
    classes: tuple[int, ...] = Field(default=_BINARY, min_length=2)
    functions: tuple[LabelingFunction, ...] = Field(min_length=1)
    train: bool = Field(default=False, description="training sets use training_labels")
    weak_weight: float = Field(
        default=1.0, gt=0, description="weak labels together weigh at most this many times what gold labels do"
    )
    annotators: Annotators | None = None
    min_gold: int = Field(default=20, ge=2, description="held-out gold labels below which the vote is used unjudged")

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find names and classes that come twice, and classes that no model can be trained on."""
        names = [name for _, name, _ in named_parts(declared.get("functions"))]
        for order, (place, name, _) in enumerate(named_parts(declared.get("functions"))):
            if name in names[:order]:
                yield ("functions", place, "name"), f"found {name!r} again; allowed: a name once"
            elif name in EXAMPLE_COLUMNS:
                said = f"found {name!r}; allowed: names other than {', '.join(EXAMPLE_COLUMNS)}"
                yield ("functions", place, "name"), said
        classes = list_of(declared.get("classes", list(_BINARY)))
        for place, each in enumerate(classes):
            if each in classes[:place]:
                yield ("classes", place), f"found {each!r} again; allowed: a class once"
        if declared.get("train") is True and set(map(str, classes)) != set(map(str, _BINARY)):
            said = f"found train with classes {', '.join(map(str, classes))}; allowed: with 0 and 1, which models learn"
            yield ("train",), said
