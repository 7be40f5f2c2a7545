"""Assets of the evidence: measures with intervals, slices, and behaviours of the newest candidate.

Each looks at the same comparison: candidate, champion and heuristic on the newest rows that none of them has seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
from dagster_duckdb import DuckDBResource
from numpy.typing import NDArray

from ml_assets.features.row_expressions import prepare_holidays
from ml_assets.graph.comparison import Comparison, compare
from ml_assets.graph.evidence_pictures import draw_quality
from ml_assets.graph.layout import Results, asset_key, described
from ml_assets.graph.pictures import as_markdown, slice_losses_png
from ml_assets.graph.resources import StateResource
from ml_assets.serving.worklist import priority_of
from ml_assets.spec.gate import GateRule
from ml_assets.spec.objectives import OUTCOME, SCORE
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.classification import pointwise_log_loss
from ml_assets.stats.day_blocks import expanded_tail, paired_day_block_bootstrap
from ml_assets.stats.decision_costs import cost_curve, lists_of_days
from ml_assets.stats.measured_intervals import measured_intervals
from ml_assets.stats.slices import parts_of, weak_slices
from ml_assets.stores.lake import Lake
from ml_assets.stores.sandbox import shut_in
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.behaviour_trials import try_behaviours
from ml_assets.training.group_gaps import group_gaps

if TYPE_CHECKING:
    import pyarrow as pa

MEASURES, SLICES, BEHAVIOURS = "evaluation_measures", "evaluation_slices", "behaviours"
LEVEL = 0.9  # coverage of the intervals that are shown
RESAMPLES = 400
_SHOWN = 12
Row = dict[str, Any]
FloatArray = NDArray[np.float64]


class StaleEvidenceError(RuntimeError):
    """Evidence about other models than those to be judged."""


def build_evidence_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build evaluation_measures, evaluation_slices and behaviours."""
    return [_measures(spec), _slices(spec), _behaviours(spec)]


def _measures(spec: UseCaseSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(spec, "models", MEASURES),
        deps=[asset_key(spec, "models", "candidate_model")],
        description="Candidate, champion and heuristic on the newest matured window that none of them has seen: each "
        "measure with its interval from resampled days, what decisions cost, and the lists of a day.",
        **described(spec, "models", "delta"),
    )
    def evaluation_measures(store: StateResource, duckdb: DuckDBResource) -> dg.MaterializeResult:
        state = store.of(spec.name)
        found = compare(state, duckdb)
        rows = list(measure_rows(spec, found))
        _write(state, MEASURES, rows, _MEASURE_TYPES, found)
        shown: dict[str, Any] = {}
        costs = spec.monitoring.costs
        drawn = draw_quality(found, costs.false_alarm, costs.missed)
        if drawn is not None:
            shown = {
                **{name: as_markdown(png, name) for name, png in drawn.pictures.items()},
                "implied threshold": drawn.costs.implied_threshold,
                "cheapest threshold on the window": drawn.costs.best_threshold,
            }
        return dg.MaterializeResult(
            metadata={
                "candidate": found.row.model_version,
                "examples": int(found.labels.size),
                "measures": dg.MetadataValue.md(_measure_table(rows)),
                **shown,
            }
        )

    return evaluation_measures


def measure_rows(spec: UseCaseSpec, found: Comparison) -> Iterator[Row]:
    """Give a row a model and measure: estimate and interval; cost and lists have no interval."""
    costs = spec.monitoring.costs
    for role, scores in found.scores.items():
        version = found.row.model_version if role == "candidate" else None
        if role == "champion" and found.incumbent is not None:
            version = found.incumbent.model_version
        same = {"as_of": found.row.as_of, "role": role, "model_version": version, "level": LEVEL}
        rng = np.random.default_rng(spec.model.seed)
        intervals = measured_intervals(found.labels, scores, found.days, rng=rng, resamples=RESAMPLES, level=LEVEL)
        for name, each in intervals.items():
            yield {**same, "measure": name, "estimate": each.estimate, "lower": each.lower, "upper": each.upper,
                   "n": each.n, "n_days": each.n_days}  # fmt: skip
        if found.labels.size:
            curve = cost_curve(found.labels, scores, false_alarm=costs.false_alarm, missed=costs.missed)
            foretold = _foretold(spec, found, role)
            priority = priority_of(spec.worklist, {SCORE: scores, **foretold})
            precision, recall = lists_of_days(found.labels, priority, found.days, spec.worklist.capacity)
            more = {"cost_at_implied_threshold": curve.implied_cost, "implied_threshold": curve.implied_threshold,
                    "precision_at_capacity": precision, "recall_at_capacity": recall}  # fmt: skip
            days = len(set(found.days))
            more |= _amounts(spec, found, foretold, priority)
            for name, value in more.items():
                yield {**same, "measure": name, "estimate": value, "lower": None, "upper": None,
                       "n": int(found.labels.size), "n_days": days}  # fmt: skip


def _foretold(spec: UseCaseSpec, found: Comparison, role: str) -> dict[str, FloatArray]:
    """What the objectives of a model foretell of the window, by name; of the heuristic nothing."""
    bundle = {"candidate": found.candidate, "champion": found.champion}.get(role)
    if bundle is None:
        return {}
    held = [each.name for each in spec.model.objectives if each.name in bundle.objectives]
    return {name: bundle.objectives[name].predict(found.window) for name in held}


def _amounts(
    spec: UseCaseSpec, found: Comparison, foretold: Mapping[str, FloatArray], priority: FloatArray
) -> dict[str, float]:
    """What was foretold beside what came: the mean absolute error, and the mean of what comes true on a day's list."""
    measured: dict[str, float] = {}
    for objective in spec.model.objectives:
        if objective.name not in foretold or f"{OUTCOME}{objective.measure}" not in found.window:
            continue
        outcome = found.window[f"{OUTCOME}{objective.measure}"].to_numpy(dtype=np.float64, na_value=np.nan)
        limits = (-np.inf if objective.at_least is None else objective.at_least,
                  np.inf if objective.at_most is None else objective.at_most)  # fmt: skip
        error = np.abs(foretold[objective.name] - np.clip(outcome, *limits))
        measured[f"{objective.name}_mae"] = float(np.nanmean(error))
        mean, _ = lists_of_days(np.nan_to_num(outcome), priority, found.days, spec.worklist.capacity)
        measured[f"{objective.measure}_on_list"] = mean
    return measured


def _slices(spec: UseCaseSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(spec, "models", SLICES),
        deps=[asset_key(spec, "models", "candidate_model")],
        description="The window by its parts: declared slices with the gain over the champion and its interval, and "
        "parts that were found where the candidate is surely wrong, after adjusting for how many were looked at.",
        **described(spec, "models", "delta"),
    )
    def evaluation_slices(store: StateResource, duckdb: DuckDBResource) -> dg.MaterializeResult:
        state = store.of(spec.name)
        found = compare(state, duckdb)
        rows = [*declared_slices(spec, found), *discovered_slices(spec, found)]
        _write(state, SLICES, rows, _SLICE_TYPES, found)
        declared = [row for row in rows if row["kind"] == "declared"]
        picture = {}
        if declared:
            picture = {"by slice": as_markdown(slice_losses_png(declared), "log loss by slice, with its interval")}
        return dg.MaterializeResult(
            metadata={
                "candidate": found.row.model_version,
                "slices": dg.MetadataValue.md(_slice_table(rows)),
                "found to be weak": sum(row["kind"] == "discovered" for row in rows),
                **picture,
            }
        )

    return evaluation_slices


def declared_slices(spec: UseCaseSpec, found: Comparison) -> Iterator[Row]:
    """Give a row a part of each declared slice; `gain` is over the champion, or over the heuristic before the first."""
    losses = {role: pointwise_log_loss(found.labels, scores) for role, scores in found.scores.items()}
    against = losses.get("champion", losses["heuristic"])
    days, rule = np.asarray(found.days), spec.model.gate
    for column in spec.monitoring.slices:
        if column not in found.window:
            continue
        for value, mask in parts_of(found.window[column].tolist()):
            if not mask.any():
                continue
            gain = _gain(rule, spec.model.seed, against[mask], losses["candidate"][mask], days[mask])
            loss = paired_loss(losses["candidate"][mask], days[mask], spec.model.seed)
            yield {
                **_slice_row(found, "declared", column, value, losses["candidate"], mask),
                "loss_lower": loss[0],
                "loss_upper": loss[1],
                "against": "champion" if "champion" in losses else "heuristic",
                "gain": gain.estimate,
                "gain_lower": gain.lower,
                "gain_upper": gain.upper,
            }


def discovered_slices(spec: UseCaseSpec, found: Comparison) -> Iterator[Row]:
    """Give a row a part of any feature in which the candidate is surely wrong, worst first."""
    if not found.labels.size:
        return
    scores = np.clip(found.scores["candidate"], 1e-7, 1 - 1e-7)
    losses = pointwise_log_loss(found.labels, found.scores["candidate"])
    entropy = -(scores * np.log(scores) + (1 - scores) * np.log1p(-scores))
    columns = {name: found.window[name].tolist() for name in found.candidate.features}
    for each in weak_slices(columns, losses, entropy, found.days, least=spec.model.gate.min_slice):
        yield {
            "as_of": found.row.as_of,
            "kind": "discovered",
            "column": each.column,
            "value": each.value,
            "n": each.n,
            "n_days": each.n_days,
            "log_loss": each.loss,
            "rest_log_loss": each.rest_loss,
            "surprise": each.surprise,
            "p_value": each.p_value,
        }


def paired_loss(losses: "np.ndarray[Any, Any]", days: "np.ndarray[Any, Any]", seed: int) -> tuple[float, float]:
    """Give the interval of a mean loss from resampled days; NaN of fewer than two days."""
    names, day = np.unique(days, return_inverse=True)
    if names.size < 2:
        return float("nan"), float("nan")
    sums, counts = np.bincount(day, losses), np.bincount(day)
    drawn = np.random.default_rng(seed).integers(0, names.size, size=(RESAMPLES, names.size))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    tail = expanded_tail(LEVEL, names.size)
    lower, upper = np.quantile(means, [tail, 1 - tail])
    return float(lower), float(upper)


def _gain(rule: GateRule, seed: int, against: Any, candidate: Any, days: Any):  # noqa: ANN202 - an Interval
    rng = np.random.default_rng(seed)
    return paired_day_block_bootstrap(
        against, candidate, days, rng=rng, resamples=rule.resamples, level=rule.interval_level
    )


def _slice_row(found: Comparison, kind: str, column: str, value: str, losses: Any, mask: Any) -> Row:
    return {
        "as_of": found.row.as_of,
        "kind": kind,
        "column": column,
        "value": value,
        "n": int(mask.sum()),
        "n_days": len({day for day, inside in zip(found.days, mask, strict=True) if inside}),
        "label_share": float(found.labels[mask].mean()),
        "mean_score": float(found.scores["candidate"][mask].mean()),
        "log_loss": float(losses[mask].mean()),
        "rest_log_loss": float(losses[~mask].mean()) if (~mask).any() else None,
    }


def _behaviours(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "models", BEHAVIOURS)

    @dg.asset(
        key=key,
        deps=[asset_key(spec, "models", "candidate_model")],
        description="Declared behaviours of the candidate, tried on rows it has not seen: what must not matter, what "
        "must not lower a score, cases that people labelled, perturbed inputs; and gaps between sensitive groups.",
        check_specs=[dg.AssetCheckSpec("behaviour", asset=key, description="The candidate behaves as declared.")],
        **described(spec, "models", "delta"),
    )
    def behaviours(store: StateResource, duckdb: DuckDBResource) -> Results:
        state = store.of(spec.name)
        found = compare(state, duckdb)
        with duckdb.get_connection() as connection:
            shut_in(connection, {})
            if spec.features.holidays:
                year = found.row.as_of.year
                prepare_holidays(connection, spec.features.holidays, range(year - 1, year + 2))
            tried = try_behaviours(
                spec.model.behaviours, found.candidate.model, found.candidate.envelope, found.features, connection,
                spec.model.seed,
            )  # fmt: skip
        rows: list[Row] = [{"as_of": found.row.as_of, **vars(each)} for each in tried]
        rows += [{"as_of": found.row.as_of, **row} for row in group_gaps(spec, found.window, found.scores["candidate"])]
        _write(state, BEHAVIOURS, rows, _BEHAVIOUR_TYPES, found)
        broken = [row for row in rows if row["state"] != "kept"]
        yield dg.MaterializeResult(
            metadata={"candidate": found.row.model_version, "behaviours": dg.MetadataValue.md(_behaviour_list(rows))}
        )
        yield dg.AssetCheckResult(
            check_name="behaviour",
            passed=not broken,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(f"{row['name']}: {row['message']}" for row in broken)
            or (f"all {len(rows)} are kept" if rows else "none is declared"),
            metadata={"declared": len(rows), "not kept": len(broken)},
        )

    return behaviours


_MEASURE_TYPES = {"as_of": "date", "role": "text", "model_version": "text", "measure": "text", "estimate": "number",
                  "lower": "number", "upper": "number", "level": "number", "n": "whole", "n_days": "whole"}  # fmt: skip
_SLICE_TYPES = {"as_of": "date", "kind": "text", "column": "text", "value": "text", "n": "whole", "n_days": "whole",
                "label_share": "number", "mean_score": "number", "log_loss": "number", "loss_lower": "number",
                "loss_upper": "number", "rest_log_loss": "number", "surprise": "number", "p_value": "number",
                "against": "text", "gain": "number", "gain_lower": "number", "gain_upper": "number"}  # fmt: skip
_BEHAVIOUR_TYPES = {"as_of": "date", "name": "text", "kind": "text", "severity": "text", "state": "text", "n": "whole",
                    "measured": "number", "threshold": "number", "message": "text"}  # fmt: skip


def _write(state: UseCaseState, table: str, rows: Sequence[Row], types: dict[str, str], found: Comparison) -> None:
    """Write a table of evidence, and of which two models it is: the gate looks at no other."""
    state.lake.replace(table, _table(rows, types), _pair(found))


def _pair(found: Comparison) -> dict[str, str]:
    champion = "" if found.incumbent is None else found.incumbent.model_version
    return {"model_version": found.row.model_version, "champion": champion}


def require_evidence_of(lake: Lake, table: str, found: Comparison) -> None:
    """Raise StaleEvidenceError where a table of evidence is of another candidate, or beside another champion."""
    held, asked = lake.metadata(table), _pair(found)
    if any(held.get(name) != value for name, value in asked.items()):
        said = [f"{each.get('model_version') or 'no candidate'} beside {each.get('champion') or 'no champion'}"
                for each in (held, asked)]  # fmt: skip
        raise StaleEvidenceError(
            f"{table} is of {said[0]}, and asked is {said[1]}; materialize {table} first, as the retraining job does"
        )


def _table(rows: Sequence[Row], types: dict[str, str]) -> "pa.Table":
    import pyarrow as pa

    kinds = {"date": pa.date32(), "text": pa.string(), "number": pa.float64(), "whole": pa.int64()}
    schema = pa.schema({name: kinds[kind] for name, kind in types.items()})
    plain = [{name: _plain(row.get(name)) for name in types} for row in rows]
    return pa.Table.from_pylist(plain, schema)


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _measure_table(rows: Sequence[Row]) -> str:
    roles = list(dict.fromkeys(row["role"] for row in rows))
    lines = [f"| measure | {' | '.join(roles)} |", "|---" * (len(roles) + 1) + "|"]
    for measure in dict.fromkeys(row["measure"] for row in rows):
        cells = []
        for role in roles:
            row = next((each for each in rows if each["role"] == role and each["measure"] == measure), None)
            cells.append("" if row is None else _with_interval(row["estimate"], row["lower"], row["upper"]))
        lines.append(f"| {measure.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"in brackets the {LEVEL:.0%} interval of resampled days"])


def _with_interval(estimate: float | None, lower: float | None, upper: float | None) -> str:
    if estimate is None or not np.isfinite(estimate):
        return "undefined"
    said = f"{estimate:.3f}"
    return said if lower is None or upper is None or not np.isfinite(lower) else f"{said} ({lower:.3f}-{upper:.3f})"


def _slice_table(rows: Sequence[Row]) -> str:
    lines = ["| slice | examples | log loss | gain over champion |", "|---|---|---|---|"]
    declared = [row for row in rows if row["kind"] == "declared"]
    for row in declared:
        loss = _with_interval(row["log_loss"], row["loss_lower"], row["loss_upper"])
        gain = f"{row['gain']:+.1%} ({row['gain_lower']:+.1%} to {row['gain_upper']:+.1%})"
        lines.append(f"| {row['column']} {row['value']} | {row['n']} | {loss} | {gain} |")
    found = [row for row in rows if row["kind"] == "discovered"][:_SHOWN]
    said = ["", "Surely wrong, beyond what is hard to foretell:" if found else "No part was found to be surely wrong."]
    said += [
        f"- {row['column']} {row['value']}: log loss {row['log_loss']:.4f} of {row['n']}, elsewhere "
        f"{row['rest_log_loss']:.4f}; {row['surprise']:+.4f} above what its scores expect (p {row['p_value']:.3g})"
        for row in found
    ]
    return "\n".join([*lines, *said])


def _behaviour_list(rows: Sequence[Row]) -> str:
    """List what was tried, what is not kept first; the UI squeezes the sentences of a table to a letter a line."""
    if not rows:
        return "no behaviour is declared"
    ordered = sorted(rows, key=lambda row: row["state"] == "kept")
    return "\n".join(f"- **{row['state']}** {row['name']} ({row['kind']}): {row['message']}" for row in ordered)
