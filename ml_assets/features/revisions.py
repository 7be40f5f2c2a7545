"""How forecasts were revised: the vintages of one moment beside the last of them, and forecasts that never change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_assets.features.outcome_leakage import MIN_ROWS, LeakageSign
from ml_assets.spec.contract import Source
from ml_assets.spec.forecasts import series_columns

if TYPE_CHECKING:
    import duckdb

MAX_AGREEMENT = 0.99  # of the first with the last vintage; a forecast of an hour ahead lies below
LEADS_H = (0, 3, 6, 12, 24, 48, 96, 192)  # where bands of leads begin


@dataclass(frozen=True)
class RevisionBand:
    """How far vintages of some leads were from the last vintage of their moment.

    Attributes
    ----------
    column
        The column that is forecast.
    from_h, to_h
        Leads from (included) and to (excluded), in hours; None is without bound.
    n
        Vintages that a later one of the same moment followed.
    mean_abs, rms
        Mean absolute and root mean squared distance to the last vintage, in the unit of the column.
    spread
        Standard deviation of the last vintages: what a forecast that knows nothing would be away by.
    """

    column: str
    from_h: int
    to_h: int | None
    n: int
    mean_abs: float
    rms: float
    spread: float


@dataclass(frozen=True)
class VintageCounts:
    """What vintages there are of a forecast.

    Attributes
    ----------
    vintages, moments
        Rows, and moments of a series that they are for.
    single
        Moments with one vintage alone.
    lead_h, late_h
        Median hours from issue to the moment, and from issue until it was known.
    """

    vintages: int
    moments: int
    single: int
    lead_h: float
    late_h: float


def lay_revisions(connection: duckdb.DuckDBPyConnection, source: Source, columns: Sequence[str]) -> None:
    """Make table `_revisions` of view `validated_<source>`: a vintage a row, with the values it gives and the last.

    Of several versions of one key the newest counts. `_name` numbers the moment of a series; `_v<n>`, `_last<n>` and
    `_first<n>` are the values of column n here, in the vintage issued last, and in the one issued first.
    """
    if source.forecast is None:
        raise ValueError(f"{source.name} is no forecast")
    series = "".join(f', "{name}"' for name in series_columns(source))
    key = ", ".join(f'"{name}"' for name in source.key)
    values = "".join(f', CAST("{name}" AS DOUBLE) AS _v{n}' for n, name in enumerate(columns))
    ends = "".join(
        f", last_value(_v{n}) OVER forecast AS _last{n}, first_value(_v{n}) OVER forecast AS _first{n}"
        for n in range(len(columns))
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE _revisions AS SELECT *, count(*) OVER forecast AS _vintages, row_number() OVER "
        f"forecast AS _place{ends} FROM (SELECT dense_rank() OVER (ORDER BY _for{series}) AS _name, _for, event_at AS "
        f"_issued_at, known_at, (epoch(_for) - epoch(event_at)) / 3600 AS _lead_h{values} FROM (SELECT *, "
        f'CAST(({source.forecast.valid_at}) AS TIMESTAMPTZ) AS _for FROM "validated_{source.name}" '
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY known_at DESC, batch_date DESC) = 1)) "
        "WINDOW forecast AS (PARTITION BY _name ORDER BY _issued_at, known_at ROWS BETWEEN UNBOUNDED PRECEDING AND "
        "UNBOUNDED FOLLOWING)"
    )


def count_vintages(connection: duckdb.DuckDBPyConnection) -> VintageCounts:
    """Count the rows of `_revisions`."""
    row = connection.sql(
        "SELECT count(*), count(DISTINCT _name), count(*) FILTER (WHERE _vintages = 1), coalesce(median(_lead_h), 0), "
        "coalesce(median((epoch(known_at) - epoch(_issued_at)) / 3600), 0) FROM _revisions"
    ).fetchall()[0]
    return VintageCounts(*row)


def measure_revisions(connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> list[RevisionBand]:
    """Measure by band of leads how far vintages are from the last of their moment, in table `_revisions`."""
    starts = ", ".join(str(start) for start in LEADS_H)
    band = f"greatest(len(list_filter([{starts}], lambda x: x <= _lead_h)), 1)"
    found: list[RevisionBand] = []
    for n, column in enumerate(columns):
        rows = connection.sql(
            f"SELECT {band} AS band, count(*), avg(abs(_v{n} - _last{n})), sqrt(avg(pow(_v{n} - _last{n}, 2))), "
            f"coalesce(stddev_samp(_last{n}), 0) FROM _revisions WHERE _place < _vintages AND isfinite(_v{n}) AND "
            f"isfinite(_last{n}) GROUP BY 1 ORDER BY 1"
        ).fetchall()
        for place, count, mean_abs, rms, spread in rows:
            until = LEADS_H[place] if place < len(LEADS_H) else None
            found.append(RevisionBand(column, LEADS_H[place - 1], until, count, mean_abs, rms, spread))
    return found


def find_final_values(
    connection: duckdb.DuckDBPyConnection, columns: Sequence[str], limit: float = MAX_AGREEMENT
) -> list[LeakageSign]:
    """Look for forecasts that their last vintage never changed: final values written as if they had been forecast.

    Of each moment with several vintages the first is held against the last. Their agreement is one less the mean
    absolute revision over the mean absolute deviation of the last vintages from their median: 1 where nothing was ever
    revised, about 0 for a forecast that knows nothing. Nothing is said of a column that hardly varies, or of fewer than
    thirty moments.
    """
    found: list[LeakageSign] = []
    for n, column in enumerate(columns):
        rows = (
            f"(SELECT _first{n} AS first, _last{n} AS last, _lead_h AS lead_h FROM _revisions WHERE _place = 1 AND "
            f"_vintages > 1 AND isfinite(_first{n}) AND isfinite(_last{n}))"
        )
        count, revised, spread, lead_h = connection.sql(
            f"SELECT count(*), avg(abs(first - last)), avg(abs(last - (SELECT median(last) FROM {rows}))), "
            f"median(lead_h) FROM {rows}"
        ).fetchall()[0]
        if count < MIN_ROWS or not spread:
            continue
        value = 1.0 - revised / spread
        says = (
            f"of {count:,} moments with several vintages the first, {lead_h:.0f} h ahead, agrees with the last by "
            f"{value:.3f}; 1 is a forecast that was never revised, as final values are"
        )
        found.append(LeakageSign("final", column, value, limit, count, says))
    return found
