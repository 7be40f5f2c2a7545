"""The prior shift of each drop: the labels matured by its batch beside what its champion scores on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.pipeline.scoring.intervals import drops_of_intervals
from ml_assets.serving.prior_shift import NO_SHIFT, PriorShift, learn_shift
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import plain_keys
from ml_assets.spec.prior_correction import PriorCorrection
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.kept_scores import KeptScores, scores_schema
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.table_files import TableFiles

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa


@dataclass
class PriorCorrector:
    """Learns shifts drop by drop; what one model scored of one drop is scored once.

    `connection` has a view `features_<version>` of each version asked for, and `labels`. `files` are those of each
    version, where scores are kept in `kept` for the next drop.
    """

    connection: "duckdb.DuckDBPyConnection"
    spec: UseCaseSpec
    kept: KeptScores | None = None
    files: Mapping[int, TableFiles] = field(default_factory=dict[int, TableFiles])
    _scored: dict[tuple[str, int, DropKey], "pd.DataFrame"] = field(default_factory=dict, init=False)

    def shift_of(self, drop: DropKey, model_version: str, bundle: ModelBundle, features: int) -> PriorShift:
        """Give the shift of a drop, as it could be known at its batch; none where none is declared."""
        rule = self.spec.model.prior_correction
        if rule is None:
            return NO_SHIFT
        drops = self._matured(drop, rule, datetime.fromisoformat(bundle.trained_until))
        self._score(drops, model_version, bundle, features)
        rows = [frame for each in drops if len(frame := self._scored[model_version, features, each])]
        if not rows:
            return NO_SHIFT
        return self._learn(drop, rule, rows)

    def know(self, model_version: str, features: int, drop: DropKey, rows: "pd.DataFrame") -> None:
        """Take what a model scored of the examples of a drop as known, instead of scoring them.

        Grain of `rows`: a label that became known of an example, in the order they did: `drop`, `example_id`,
        `prediction_at`, `score`, `label`, `known_at`, and `landed`, the drop that the label came in.
        """
        self._scored[model_version, features, drop] = rows.loc[rows["score"].between(0, 1)]

    def _matured(self, drop: DropKey, rule: PriorCorrection, trained_until: datetime) -> list[DropKey]:
        """The drops whose examples may have matured by the batch of `drop`, in the window, after the training rows."""
        calendar = self.spec.calendar
        newest = self.spec.matured_by(drop)
        first = max(calendar.first_drop, calendar.earlier(drop, rule.window + self.spec.labels.matures_after))
        return [
            each
            for each in calendar.drops_between(first, calendar.previous_drop(drop))
            if calendar.batch_at(calendar.previous_drop(each)) >= trained_until
            and calendar.batch_at(calendar.previous_drop(each)) < newest
        ]

    def _learn(self, drop: DropKey, rule: PriorCorrection, rows: "Sequence[pd.DataFrame]") -> PriorShift:
        import pandas as pd

        known = pd.concat(rows, ignore_index=True)
        # known by then and landed by then: a file that came late says when it was known, and was not there
        is_known = (
            (known["prediction_at"] <= self.spec.matured_by(drop))
            & (known["known_at"] <= self.spec.calendar.batch_at(drop))
            & (known["landed"] <= drop)
        )
        known = known.loc[is_known.to_numpy(dtype=bool)].drop_duplicates("example_id", keep="last")
        calendar = self.spec.calendar
        gap = calendar.days_waited(self.spec.labels.matures_after)
        places = [calendar.days_since_start(each) for each in known["drop"]]
        day: NDArray[np.int64] = np.array(places, dtype=np.int64)
        return learn_shift(
            known["score"].to_numpy(dtype=np.float64),
            known["label"].to_numpy(dtype=np.float64),
            day,
            gap=gap,
            rule=rule,
        )

    def _score(self, drops: Sequence[DropKey], model_version: str, bundle: ModelBundle, features: int) -> None:
        """Score the examples of the drops that were not scored yet, all at once.

        A row a label that became known of each example of a drop, in the order they did. Where scores are kept, those
        of all drops that are read are asked for together: the others are needed by the next drops.
        """
        missing = [drop for drop in drops if (model_version, features, drop) not in self._scored]
        if not missing:
            return
        if self.kept is not None:
            learned_until = self.spec.calendar.drop_receiving(datetime.fromisoformat(bundle.trained_until))
            read = {drop for drop in self.files[features].drops() if drop > learned_until}
            missing = sorted(
                {*missing, *(drop for drop in read if (model_version, features, drop) not in self._scored)}
            )
        score = partial(self._score_examples, bundle, features)
        scores = score(missing) if self.kept is None else self.kept.of(
            model_version, self.files[features], missing, score
        )  # fmt: skip
        self.connection.register("_scores", scores)
        scored = self.connection.sql(
            "SELECT s.batch_date AS drop, s.example_id, s.prediction_at, s.score, l.label, l.known_at, "
            "l.batch_date AS landed FROM _scores AS s JOIN labels AS l USING (example_id) "
            "ORDER BY s.batch_date, s.example_id, l.known_at, l.batch_date"
        ).df()
        self.connection.unregister("_scores")
        scored["drop"], scored["landed"] = plain_keys(scored["drop"]), plain_keys(scored["landed"])
        known = scored.loc[scored["score"].between(0, 1)]  # what is no probability teaches no shift
        for drop in missing:
            self._scored[model_version, features, drop] = known.loc[known["drop"] == drop]

    def _score_examples(self, bundle: ModelBundle, features: int, drops: Sequence[DropKey]) -> "pa.Table":
        """Score every example of some drops: `batch_date`, `example_id`, `prediction_at`, `score`."""
        import pyarrow as pa

        rows = self.connection.execute(
            f"SELECT * FROM features_{features} WHERE batch_date IN ? ORDER BY batch_date, example_id", [list(drops)]
        ).df()
        scored = rows[["batch_date", "example_id", "prediction_at"]].copy()
        scored["score"] = bundle.model.predict(rows) if len(rows) else []
        return pa.Table.from_pandas(scored, scores_schema(drops[0]), preserve_index=False)


def drops_read(spec: UseCaseSpec, drops: Sequence[DropKey]) -> tuple[DropKey, DropKey]:
    """Give the range of drops whose features and labels are read to score `drops`, with shifts and bounds."""
    rule = spec.model.prior_correction
    first = drops_of_intervals(spec, drops)
    if rule is not None:
        first = min(first, spec.calendar.earlier(drops[0], rule.window + spec.labels.matures_after))
    return first, drops[-1]


def describe_shift(found: PriorShift) -> Mapping[str, float]:
    """Give what a person wants to see of a shift beside a drop."""
    return {"prior shift": found.shift, "prior shift learned": found.learned, "matured days": found.n_days}
