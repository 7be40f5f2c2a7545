"""What is fitted, how it is chosen, and on what it is compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from ml_assets.spec.augmentation import Augmentation
from ml_assets.spec.behaviours import Behaviour
from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.duration import Duration
from ml_assets.spec.gate import GateRule
from ml_assets.spec.metrics import metric_faults
from ml_assets.spec.model_kinds import BASELINES, goes_on, kind_fault, model_kind_names, parameters_of
from ml_assets.spec.names import did_you_mean, not_among
from ml_assets.spec.objectives import Objective
from ml_assets.spec.prior_correction import PriorCorrection
from ml_assets.spec.raw_yaml import list_of, mapping_of, named_parts, names_in
from ml_assets.spec.tasks import TaskName

Imbalance = Literal["none", "weights", "undersample"]
CalibrationMethod = Literal["none", "platt", "isotonic"]


class Range(Declared):
    """Where a search may look for one parameter; `log` draws its logarithm evenly."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find a range that is empty, or that has no logarithm."""
        low, high = declared.get("low"), declared.get("high")
        if isinstance(low, int | float) and isinstance(high, int | float):
            if not low < high:
                yield ("high",), f"found {high:g}; allowed: more than low, {low:g}"
            if declared.get("log") is True and low <= 0:
                yield ("low",), f"found {low:g}; allowed: above zero, where the search is by logarithm"


class WarmStart(Declared):
    """How trees go on from the champion's instead of starting anew.

    `replay_share` is the share of older rows that are shown again beside the new ones, drawn at random: without
    them a model forgets what it no longer sees.
    """

    rounds: int = Field(ge=1, description="trees added at each retraining")
    replay_share: float = Field(ge=0, le=1, description="share of the rows known before that are learned again")


class ModelCandidate(Declared):
    """One step of the candidates, from simple to complex."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]
    kind: str = Field(description="a kind of model: one of this package, or one that an installed package adds")
    parameters: dict[str, float | int | str] = Field(default_factory=dict)
    group_by: tuple[str, ...] = ()
    members: tuple[str, ...] = Field(default=(), description="the candidates below it that a blend weighs")
    features: tuple[str, ...] = Field(default=(), description="the features it takes; empty is all of them")
    search: dict[str, Range] = Field(default_factory=dict, description="where `tune` looks for parameters")
    warm_start: WarmStart | None = None


class Folds(Declared):
    """Expanding windows inside the training rows, on which everything is chosen that is not the champion.

    Each scores `length` of time ahead, trained on what had matured before it.
    """

    count: int = Field(default=3, ge=1)
    length: Duration = timedelta(days=14)


class Tuning(Declared):
    """What a search for parameters may cost; whichever ends first."""

    trials: int = Field(default=20, ge=1)
    minutes: float = Field(default=10, gt=0)


class Abstain(Declared):
    """When a model gives no score of its own: an input lies further from the training rows than this."""

    renamed: ClassVar[Mapping[str, str]] = {"beyond": "max_range_multiple"}
    max_range_multiple: float = Field(
        ge=0, description="in widths of a feature's range among the training rows, on either side"
    )
    features: tuple[str, ...] = Field(
        min_length=1,
        description="which are looked at: readings that can be impossible. Not what moves on with the calendar, which "
        "leaves its training range because time passes",
    )


class Intervals(Declared):
    """Bounds that outcomes lie within as often as declared: two learned quantiles, moved by what matured lately.

    The newest outcomes say how far bounds lie apart, and the level asked for follows how often the last ones missed.
    """

    level: float = Field(default=0.9, ge=0.5, le=0.99, description="share of outcomes that lie within the bounds")
    window: Duration = Field(
        default=timedelta(days=28), description="how far back matured outcomes move the bounds of the next drop"
    )
    by: str | None = Field(
        default=None, description="a feature: margins are learned for each of its values that has 100 rows"
    )
    parameters: dict[str, float | int | str] = Field(
        default_factory=dict, description="of the boosted trees that learn the quantiles; as for a candidate of xgboost"
    )


History = Literal["auto", "all"] | Duration


class TrainingRecipe(Declared):
    """All that decides what training rows become, besides the rows: enough to train a model again.

    `threads`, how many fits run side by side, changes nothing of it and is not recorded. `candidates` may be cut to
    those that are needed.
    """

    renamed: ClassVar[Mapping[str, str]] = {"ladder": "candidates"}
    task: TaskName = "binary"
    seed: int = 0
    threads: int = Field(default=2, ge=1)
    folds: Folds = Folds()
    imbalance: Imbalance = "none"
    augmentation: Augmentation | None = None
    calibration: CalibrationMethod = "none"
    abstain: Abstain | None = None
    objectives: tuple[Objective, ...] = ()
    intervals: Intervals | None = None
    matures_after: Duration
    history_after: datetime | None = Field(default=None, description="training rows up to then are left out")
    refit: bool = False
    candidates: tuple[ModelCandidate, ...] = Field(min_length=1)

    def recorded(self) -> dict[str, Any]:
        """Give what is recorded with a model, as JSON: not `threads`, the binary task, nor what is not declared.

        Those came later: a recipe without them has the bytes it had before.
        """
        later = {"task"} if self.task == "binary" else set[str]()
        later |= {name for name in ("augmentation", "intervals") if getattr(self, name) is None}
        return self.model_dump(mode="json", exclude={"threads", *later})

    def candidate(self, name: str) -> ModelCandidate:
        """Find a candidate by its name; raises ValueError naming those that are there."""
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        raise ValueError(f"candidate: {not_among(name, [candidate.name for candidate in self.candidates])}")

    def only(self, name: str) -> TrainingRecipe:
        """Keep the candidate of that name, what it blends, and the baseline beside it."""
        wanted = {name, *self.candidate(name).members, self.baseline.name}
        return self.model_copy(
            update={"candidates": tuple(candidate for candidate in self.candidates if candidate.name in wanted)}
        )

    def with_candidate(self, tuned: ModelCandidate) -> TrainingRecipe:
        """Put a candidate in the place of the one of its name."""
        return self.model_copy(
            update={"candidates": tuple(tuned if r.name == tuned.name else r for r in self.candidates)}
        )

    @property
    def baseline(self) -> ModelCandidate:
        """What stands for what people would do without a model: the first of BASELINES, or the constant."""
        return next((candidate for candidate in self.candidates if candidate.kind in BASELINES), self.candidates[0])


class Sensitive(Declared):
    """A column by whose groups a model must not differ too much, and by which measure.

    `true_positive_rate` and `false_positive_rate` are of acting at the threshold that the declared costs imply,
    `selection_rate` the share that is acted on. Groups with fewer than `min_group` labelled examples are shown, not
    judged.
    """

    column: str
    metric: Literal["true_positive_rate", "false_positive_rate", "selection_rate", "log_loss", "mse", "deviance"] = (
        "true_positive_rate"
    )
    max_difference: float = Field(gt=0)
    min_group: int = Field(default=200, ge=1)


class ModelSpec(Declared):
    """The candidates, the holdout they meet on, and the gate."""

    renamed: ClassVar[Mapping[str, str]] = {"margin": "min_relative_gain", "ladder": "candidates"}
    holdout: Duration
    history: History = Field(
        default="auto",
        description="how much of the past is trained on: all, the newest part as a duration (84d), or auto, which "
        "takes the newest part or what came since a detected change where that did better on rows ahead of it",
    )
    refit: bool = Field(
        default=True, description="what the gate let through is fitted again on all matured rows, the holdout too"
    )
    fallback: Literal["last_better", "baseline", "none"] = Field(
        default="last_better",
        description="what serves when the champion has failed, until the next promotion: the earlier champion that is "
        "surely better than the baseline on what matured last, or else the baseline; the baseline at once; or none",
    )
    min_relative_gain: float = Field(ge=0, description="relative loss a more complex candidate must gain to be taken")
    seed: int = 0
    threads: int = Field(
        default=2, ge=1, description="fits that run side by side, one thread each; the models do not depend on it"
    )
    folds: Folds = Folds()
    tuning: Tuning = Tuning()
    imbalance: Imbalance = "none"
    augmentation: Augmentation | None = None
    calibration: CalibrationMethod = "none"
    abstain: Abstain | None = None
    candidates: tuple[ModelCandidate, ...] = Field(min_length=1)
    gate: GateRule
    metrics: tuple[str, ...] = Field(
        default=(), description="metrics that installed packages add, measured at the gate beside those of the task"
    )
    objectives: tuple[Objective, ...] = ()
    intervals: Intervals | None = Field(default=None, description="bounds of each prediction, where it is a number")
    prior_correction: PriorCorrection | None = None
    behaviours: tuple[Behaviour, ...] = ()
    sensitive: tuple[Sensitive, ...] = ()

    def recipe(self, task: TaskName, matures_after: timedelta) -> TrainingRecipe:
        """Give what decides the training, apart from the gate and the margin of the candidates."""
        return TrainingRecipe(
            task=task,
            seed=self.seed,
            threads=self.threads,
            folds=self.folds,
            imbalance=self.imbalance,
            augmentation=self.augmentation,
            calibration=self.calibration,
            abstain=self.abstain,
            objectives=self.objectives,
            intervals=self.intervals,
            matures_after=matures_after,
            refit=self.refit,
            candidates=self.candidates,
        )

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find candidates that share a name or blend what is not below them, and a first one that is no baseline."""
        seen: set[str] = set()
        for place, name, candidate in named_parts(declared.get("candidates")):
            if name in seen:
                yield ("candidates", place, "name"), f"found {name!r} again; allowed: a name once"
            yield from _candidate_faults(place, candidate, seen)
            seen.add(name)
        names = [name for _, name, _ in named_parts(declared.get("behaviours"))]
        for place, name, _ in named_parts(declared.get("behaviours")):
            if name in names[:place]:
                yield ("behaviours", place, "name"), f"found {name!r} again; allowed: a name once"
        yield from metric_faults(declared)
        rule = declared.get("imbalance", "none")
        if rule in ("weights", "undersample") and declared.get("calibration", "none") == "none":
            allowed = "with calibration: platt or isotonic"
            yield ("imbalance",), f"found {rule!r} without calibration; allowed: {allowed}, for it moves every score"
        if mapping_of(declared.get("augmentation")).get("method") == "smote":
            if declared.get("calibration", "none") == "none":
                said = "found smote without calibration; allowed: with calibration: platt or isotonic"
                yield ("augmentation", "method"), f"{said}, for it moves every score"
            if rule != "none":
                said = f"found smote with imbalance {rule!r}; allowed: one of both, for both balance the classes"
                yield ("augmentation", "method"), said
        kinds = [mapping_of(candidate).get("kind") for candidate in list_of(declared.get("candidates"))]
        after_constant = 1 if kinds[:1] == ["constant"] and len(kinds) > 1 else 0
        kind = next(iter(kinds[after_constant:]), None)
        if isinstance(kind, str) and kind in model_kind_names() and kind not in BASELINES:
            allowed = " or ".join(BASELINES)
            found = f"the first candidate is the baseline to beat; found {kind!r}; allowed: {allowed}"
            yield ("candidates", after_constant, "kind"), found


def _candidate_faults(place: int, candidate: Mapping[str, Any], below: set[str]) -> Iterator[Fault]:
    kind = candidate.get("kind")
    if isinstance(kind, str) and (fault := kind_fault(kind)):
        yield ("candidates", place, "kind"), fault
    yield from _member_faults(place, kind, names_in(candidate.get("members")), below)
    if candidate.get("warm_start") is not None and not goes_on(str(kind)):
        yield ("candidates", place, "warm_start"), f"found on a candidate of {kind}; allowed: on xgboost"
    known = parameters_of(str(kind))
    for name in mapping_of(candidate.get("search")):
        if known is not None and name not in known:
            allowed = ", ".join(known) or f"none on a candidate of {kind}"
            yield (
                ("candidates", place, "search", name),
                f"found {name!r}; allowed: {allowed}{did_you_mean(name, known)}",
            )


def _member_faults(place: int, kind: object, members: Sequence[tuple[int, str]], below: set[str]) -> Iterator[Fault]:
    if kind == "blend":
        if len(members) < 2:
            yield (
                ("candidates", place, "members"),
                f"found {len(members)}; allowed: two candidates below this one, or more",
            )
        for position, member in members:
            if member not in below:
                allowed = ", ".join(sorted(below)) or "none"
                where = ("candidates", place, "members", position)
                yield (
                    where,
                    f"found {member!r}; allowed: a candidate below this one: {allowed}{did_you_mean(member, below)}",
                )
    elif members:
        yield ("candidates", place, "members"), f"found on a candidate of {kind}; allowed: on a blend"
