"""Scores that a model gave to the examples of drops, kept in a file a model: most are asked for again at the next drop.

The prior shift of a drop rests on what its champion scores on weeks of matured examples, and the drift of the score on
those of weeks before. A model never changes, and neither does a file of features: scores are named by both, so they
are never out of date. They may be removed at any time, and are then computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.spec.drop import DropKey, day_of_key
from ml_assets.spec.key_arrays import key_arrow_type
from ml_assets.stores.arrow_files import read_arrow, write_arrow
from ml_assets.stores.kept_results import forget_oldest
from ml_assets.stores.table_files import PARTITION, TableFiles, drop_of

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_ROWS = 2_000_000  # of a model: about 60 MB; more are computed each time
_MOST_DROPS = 400  # or as many days, where a day has several
_MOST_MODELS = 4
_MADE_FROM = "_made_from"


@dataclass(frozen=True)
class KeptScores:
    """The kept scores of a use case, below `folder`: those of the `most_models` models that were asked for last."""

    folder: Path
    most_models: int = _MOST_MODELS

    def of(
        self,
        model_version: str,
        features: TableFiles,
        drops: Sequence[DropKey],
        score: Callable[[Sequence[DropKey]], pa.Table],
    ) -> pa.Table:
        """Give the scores of `drops`, ordered by drop and as `score` orders the rows of one.

        Parameters
        ----------
        features
            The files the features of these drops are read from.
        score
            Gives the scores of all examples of some drops, in the columns of `scores_schema`.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        names = _names_of(features)
        file = self.folder / f"{model_version}.arrow"
        kept = read_arrow(file)
        have = set() if kept is None else set(kept[_MADE_FROM].unique().to_pylist())
        missing = [drop for drop in drops if drop in names and names[drop] not in have]
        if missing:
            scored = score(missing)
            made_from = pa.array([names[drop] for drop in scored[PARTITION].to_pylist()], pa.string())
            scored = scored.append_column(_MADE_FROM, made_from)
            kept = scored if kept is None else pa.concat_tables([kept, scored])
            self._write(file, kept)
        if kept is None:
            return scores_schema(drops[0]).empty_table()
        wanted = [names[drop] for drop in drops if drop in names]
        found = kept.filter(pc.field(_MADE_FROM).isin(wanted)).drop_columns([_MADE_FROM])
        return found.sort_by(PARTITION)  # stable: the rows of a drop stay in their order

    def _write(self, file: Path, kept: pa.Table) -> None:
        """Keep the scores of the newest drops, and those of the models that were asked for last."""
        import pyarrow as pa
        import pyarrow.compute as pc

        days = sorted({day_of_key(drop) for drop in kept[PARTITION].unique().to_pylist()})[-_MOST_DROPS:]
        newest = [drop for drop in kept[PARTITION].unique().to_pylist() if day_of_key(drop) >= days[0]]
        kept = kept.filter(pc.field(PARTITION) >= pa.scalar(min(newest), kept.schema.field(PARTITION).type))
        if kept.num_rows > _MOST_ROWS:
            return
        if write_arrow(file, kept):
            forget_oldest(self.folder, "*.arrow", self.most_models)


def scores_schema(drop: DropKey) -> pa.Schema:
    """Give the columns of scores of drops such as `drop`: an example a row."""
    import pyarrow as pa

    return pa.schema(
        [
            (PARTITION, key_arrow_type(drop)),
            ("example_id", pa.string()),
            ("prediction_at", pa.timestamp("us", tz="UTC")),
            ("score", pa.float64()),
        ]
    )


def _names_of(features: TableFiles) -> dict[DropKey, str]:
    """Name the files of each drop: none of them is ever changed."""
    by_drop: dict[DropKey, list[str]] = {}
    for file in features.files:
        by_drop.setdefault(drop_of(file), []).append(file.rpartition("/")[2])
    return {drop: hashlib.sha256("/".join(files).encode()).hexdigest()[:20] for drop, files in by_drop.items()}
