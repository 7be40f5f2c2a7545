"""What a retraining is asked for with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Retraining:
    """What to train: as of which drop (empty is the newest), and what a person may say about it.

    `candidate` fixes which is taken, `tune` searches for parameters first, `gate` is as_declared, enabled, dry_run or
    disabled, `mix_features` allows drops of older feature versions.
    """

    as_of: str = ""
    candidate: str = ""
    gate: str = "as_declared"
    mix_features: bool = False
    tune: bool = False
