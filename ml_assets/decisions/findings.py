"""Which rows of the reports people should hear of, and in which words.

One finding a cause: what follows from a broken feed is told with the feed, scores that are off with the loss that has
risen, and the features that moved together are one message. Nothing is read here; rows come from the tables of a drop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from ml_assets.decisions import responses
from ml_assets.decisions.first_champion import WORSE_FROM, excess_over_first, is_surely_worse
from ml_assets.decisions.harder_rows import find_shared_rise
from ml_assets.decisions.incidents import Finding, Severity, Waning
from ml_assets.decisions.responses import response_to
from ml_assets.spec.received import BY_A_PERSON
from ml_assets.stats.quality_words import labels_and_scores
from ml_assets.stats.task import Task

Row = Mapping[str, Any]
DROP_SCOPE = ("drop/", "feed/", "drift/", "performance", "freshness/", "decision")
_MANY_REFUSED = 2  # in a row, while the champion does worse
_ENDS_AT = 0.75  # of its threshold: an incident about a window that moves by a drop stays open until that
_BY_CHANCE = 0.5  # AUC of scores that say nothing
_MORE_MISSED = 0.2  # of the outcomes that bounds may leave out: what they surely miss more before it is told
_NAMED = 4  # monitors named in one message; the report has them all


def findings_of_drop(  # noqa: PLR0913 - one argument a table
    use_case: str,
    drop: str,
    *,
    ledger: Sequence[Row],
    alarms: Sequence[Row],
    performance: Row | None,
    stale: Sequence[str],
    decision: Row | None,
    task: Task,
    max_ece: float = 1.0,
    level: float | None = None,
) -> list[Finding]:
    """Give what is wrong in one drop.

    Parameters
    ----------
    ledger
        Rows of `drops`: source, state, reasons. What was refused outlasts its drop: see `refused_drops`.
    alarms
        Rows of `drift_report` whose state is alarm.
    performance
        The drop's row of `performance_verdicts`; None when it has none.
    stale
        What is not fresh, in words.
    decision
        The drop's row of `decisions`; None when it has none.
    task
        What is predicted.
    max_ece
        The calibration error that the gate allows.
    level
        The share of outcomes that bounds should hold; None where there are no bounds.
    """
    found = [*_ledger(use_case, drop, ledger), *_feeds(use_case, drop, alarms)]
    found += _drift(use_case, drop, alarms, decision)
    lost = response_to(decision, "performance", responses.PERFORMANCE)
    worse, off = _performance(use_case, task, performance, lost), _calibration(use_case, task, performance, max_ece)
    found += [replace(each, message="; ".join([each.message, *(one.message for one in off)])) for each in worse] or off
    found += _coverage(use_case, performance, level)
    found += _failing(use_case, task, performance, decision, lost)
    found += _waning(performance, max_ece, {finding.kind for finding in found})
    if stale:
        found.append(
            Finding("freshness/champion", "freshness", "warning", "; ".join(stale), None, None,
                    response_to(decision, "staleness", responses.AGE),
                    f"ml-assets status {use_case}")
        )  # fmt: skip
    return found


def _performance(use_case: str, task: Task, performance: Row | None, doing: str) -> list[Finding]:
    """Tell of a loss that has risen, or of a gain over the baseline that is lost."""
    if performance is None or performance["state"] != "failed":
        return []
    look_at = f"ml-assets performance {use_case}"
    if performance.get("loss_since") is not None:
        before, now = performance["loss_at_gate"], performance["loss_now"]
        said = f"since drop {performance['loss_since']} the champion {performance['model_version']} does worse"
        if now is not None:
            said += f": {task.loss_metric} {now:.4f} from {performance['window_from']} to "
            said += f"{performance['window_until']}, where rows it had not seen had {before:.4f} before it served"
            said += "" if now > before else "; the newest rows are as before, and the alarm ends when that has lasted"
            said += _shared(performance)
        measured = (performance["loss_level"], performance["loss_limit"])
        return [Finding("performance", "loss_risen", "error", said, *measured, doing, look_at)]
    if performance["gain"] is None:
        return []  # worse than the baseline, by drops before the window: told as a champion that has failed
    upper = "" if performance["gain_upper"] is None else f" (up to {performance['gain_upper']:.1%})"
    said = f"the champion {performance['model_version']} gains {performance['gain']:.1%} of {task.loss_metric} "
    said += "over the baseline"
    said += f"{upper} in rows from {performance['window_from']} to {performance['window_until']}; it must keep "
    said += f"{performance['threshold']:.1%}"
    measured = (performance["gain"], performance["threshold"])
    return [Finding("performance", "performance", "error", said, *measured, doing, look_at)]


def _shared(performance: Row) -> str:
    """Say where the baseline's loss has risen by as much, and what a retraining can do about that."""
    shared = find_shared_rise(performance)
    if shared is None:
        return ""
    return (
        f". The baseline's rose by as much, from {shared.baseline_before:.4f} to {shared.baseline_now:.4f}: these rows "
        "are harder to predict, rather than the model worse. A retraining gains only where they hold something new to "
        "learn; where they do not, the gate refuses it and the loss stays until easier rows come"
    )


def _failing(use_case: str, task: Task, performance: Row | None, decision: Row | None, doing: str) -> list[Finding]:
    """Tell of a champion that has failed, and of one that never retraining would beat."""
    found: list[Finding] = []
    performance, decision, look_at = performance or {}, decision or {}, f"ml-assets performance {use_case}"
    version = performance.get("model_version")
    since, failure = decision.get("fallback_since"), decision.get("failure")
    if since is not None or failure is not None:
        look_for_one = f"ml-assets retrain {use_case}"
        said = (
            f"the champion has failed, and since drop {since} the fallback serves in its place: an earlier model, or "
            f"the baseline (ml-assets status {use_case} names it).{_worth_of(performance)} The next promotion ends "
            f"that; to look for one now: {look_for_one}"
        )
        if failure is not None:
            said = (
                f"the champion {version} has failed: {failure}. Where a source is wrong, repair it and run the drops "
                f"again; else look for a better model: {look_for_one}"
            )
        found.append(Finding("performance/champion", "champion_failed", "error", said, None, None, doing, look_at))
    if is_surely_worse(performance):
        excess = excess_over_first(performance)
        said = (
            f"the champion {version} does worse than the first champion, never retrained, would: {task.loss_metric} "
            f"higher by {excess:.1%} from {performance['window_from']} to {performance['window_until']}"
        )
        measured = (excess, WORSE_FROM)
        found.append(
            Finding("performance/first", "worse_than_first", "warning", said, *measured, responses.FIRST, look_at)
        )
    refused, risen = decision.get("refused") or 0, performance.get("loss_since") or performance.get("behind_since")
    if refused >= _MANY_REFUSED and risen is not None:
        said = (
            f"{refused} retrainings in a row were refused, and the champion has done worse since drop {risen}: what "
            "they learned lies before that, or too few rows have come since"
        )
        found.append(Finding("performance/candidates", "candidates_fail", "warning", said, float(refused),
                             float(_MANY_REFUSED), doing, f"ml-assets champion {use_case}"))  # fmt: skip
    return found


def _worth_of(performance: Row) -> str:
    """Say where the baseline that serves ranks no better than chance, as far as its matured rows tell."""
    found, lower = performance.get("fallback_auc"), performance.get("fallback_auc_lower")
    if found is None or lower is None or lower >= _BY_CHANCE:
        return ""
    return (
        f" What the baseline gives is no better than chance: AUC {found:.2f} (from {lower:.2f}) in what has matured "
        "since the champion did worse. Until the next promotion rely on neither scores nor the order of lists."
    )


def _calibration(use_case: str, task: Task, performance: Row | None, max_ece: float) -> list[Finding]:
    """Tell of labels that have left the scores, and of a calibration error that neither gate nor chance allow."""
    performance, found = performance or {}, list[Finding]()
    look_at = f"ml-assets performance {use_case}"
    window = f"from {performance.get('window_from')} to {performance.get('window_until')}"
    if performance.get("prior_since") is not None and performance.get("prior_share") is not None:
        share, score = performance["prior_share"], performance["prior_score"]
        said = (
            f"since drop {performance['prior_since']} labels are {'above' if share > score else 'below'} the scores: "
            f"{labels_and_scores(task, share, score)}, in what has matured since. Their order may still hold"
        )
        if task.has_classes:
            said = (
                f"since drop {performance['prior_since']} positives are {'more' if share > score else 'less'} "
                f"frequent than the scores say: {share:.1%} in what has matured since, where scores average "
                f"{score:.1%}. Their order may still hold; do not read them as probabilities"
            )
        measured = (performance["prior_level"], performance["prior_limit"])
        found.append(Finding("performance/prior", "prior_shift", "warning", said, *measured, responses.PRIOR, look_at))
    ece, chance = performance.get("ece"), performance.get("ece_by_chance")
    enough = performance.get("state") in ("ok", "failed")
    if enough and ece is not None and chance is not None and ece > max(max_ece, chance):
        said = (
            f"scores are off by {ece:.1%} on average {window}; the gate allows {max_ece:.1%}, and chance alone gives "
            f"up to {chance:.1%}"
        )
        doing = responses.CALIBRATION
        found.append(Finding("performance/calibration", "miscalibrated", "warning", said, ece, max_ece, doing, look_at))
    return found


def _coverage(use_case: str, performance: Row | None, level: float | None) -> list[Finding]:
    """Tell of bounds that surely miss a fifth more outcomes than they say; wider ones cost nobody a wrong decision."""
    performance = performance or {}
    found, upper = performance.get("coverage"), performance.get("coverage_upper")
    if level is None or found is None or upper is None or upper >= level - _MORE_MISSED * (1 - level):
        return []
    said = (
        f"bounds hold {found:.1%} of the outcomes from {performance['window_from']} to {performance['window_until']} "
        f"(at most {upper:.1%}), where {level:.0%} are declared: do not rely on them. They widen by themselves with "
        "what matures"
    )
    look_at = f"ml-assets performance {use_case}"
    return [Finding("performance/coverage", "coverage", "warning", said, found, level, responses.COVERAGE, look_at)]


def _waning(performance: Row | None, max_ece: float, told: Collection[str]) -> list[Waning]:
    """Give what was over its threshold, if it was, and is not far below it: kinds that were `told` are over it."""
    performance = performance or {}
    ece, chance = performance.get("ece"), performance.get("ece_by_chance")
    ece = ece if ece is not None and chance is not None and ece > chance else None
    measured = {
        ("performance", "loss_risen"): (performance.get("loss_level"), performance.get("loss_limit")),
        ("performance/prior", "prior_shift"): (performance.get("prior_level"), performance.get("prior_limit")),
        ("performance/calibration", "miscalibrated"): (ece, max_ece),
    }
    return [
        Waning(monitor, kind, "info", "", level, limit, "", "")
        for (monitor, kind), (level, limit) in measured.items()
        if kind not in told and level is not None and limit is not None and level > _ENDS_AT * limit
    ]


def _ledger(use_case: str, drop: str, ledger: Sequence[Row]) -> list[Finding]:
    words = {
        "missing": ("missing_drop", "did not arrive and is waited for", "later drops wait"),
        "missing_accepted": ("missing_drop", "did not arrive; the declaration goes on without it", "its features age"),
        "accepted": ("missing_drop", "did not arrive; a person goes on without it", "its features age"),
    }
    found: list[Finding] = []
    for row in ledger:
        late = [reason for reason in row["reasons"] or () if reason.startswith("late: ") and " file_refused:" in reason]
        if late:
            said = f"{row['source']}: what came late by drop {drop} could not be read: {'; '.join(late)}"
            found.append(
                Finding(f"drop/{row['source']}/late", "refused_late_file", "warning", said, None, None,
                        "none of its rows is used; it is tried again when it changes", f"ml-assets status {use_case}")
            )  # fmt: skip
        if row["state"] in words:
            # what came late for other drops, and what became of its rows, is no reason for this one
            said_of_it = cast("list[str]", row["reasons"] or [])
            accepted = [reason.removeprefix(BY_A_PERSON) for reason in said_of_it if reason.startswith(BY_A_PERSON)]
            kind, said, doing = words["accepted" if accepted else row["state"]]
            severity: Severity = "warning" if row["state"] == "missing_accepted" else "error"
            reasons = "; ".join(accepted)
            message = f"{row['source']} of drop {drop} {said}" + (f": {reasons}" if reasons else "")
            look_at = f"ml-assets status {use_case}"
            found.append(
                Finding(f"drop/{row['source']}", kind, severity, message, None, None, doing, look_at)
            )  # fmt: skip
    return found


def _feeds(use_case: str, drop: str, alarms: Sequence[Row]) -> list[Finding]:
    by_source: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in alarms:
        if row["family"] == "feed":
            by_source[row["source"], row["kind"]].append(row)
    broken = {source for source, kind in by_source if kind == "broken_feed"}
    found: list[Finding] = []
    for (source, kind), rows in sorted(by_source.items()):
        if kind != "broken_feed" and source in broken:
            continue  # told with the fault
        rows.sort(key=lambda row: (-row["ratio"], row["monitor"]))
        worst = rows[0]
        is_broken = kind == "broken_feed"
        head = "looks broken" if is_broken else "has changed; whether it is broken cannot be told"
        found.append(
            Finding(
                f"feed/{source}",
                kind,
                "error" if is_broken else "warning",
                f"{source} {head} in drop {drop}: {_listed(rows)}",
                abs(worst["z"]),
                worst["threshold"],
                responses.BROKEN_FEED if is_broken else responses.CHANGED_FEED,
                _report_query(use_case, drop, "feed_health"),
            )
        )
    return found


def _drift(use_case: str, drop: str, alarms: Sequence[Row], decision: Row | None) -> list[Finding]:
    found: list[Finding] = []
    doing = {"before": responses.ABRUPT, "training": response_to(decision, "drift", responses.DRIFT)}
    if decision is not None and decision["action"] == "nothing":
        doing["training"] = f"nothing: {decision['would_change']}"  # it says how much would have to have moved
    for family, kind, said, singular in (
        ("before", "abrupt", *("changed abruptly, while no source looks broken: real, or cannot be told",) * 2),
        ("training", "drift", "have moved away from what the champion was trained on",
         "has moved away from what the champion was trained on"),
    ):  # fmt: skip
        rows = [row for row in alarms if row["family"] == family and row["kind"] == kind]
        if not rows:
            continue
        rows.sort(key=lambda row: (-(row["importance"] or 0) * row["ratio"], row["monitor"]))
        worst = rows[0]
        together = [row for row in rows if row["column_name"] is None]
        single = [row for row in rows if row["column_name"] is not None]
        head = f"{len(single)} features" if len(single) > 1 else "1 feature" if single else "the features as a whole"
        message = f"{head} {said if len(single) != 1 else singular} as of drop {drop}: {_listed([*together, *single])}"
        found.append(
            Finding(f"drift/{family}", kind, "warning", message, worst["z"], worst["threshold"], doing[family],
                    _report_query(use_case, drop))
        )  # fmt: skip
    return found


def _listed(rows: Sequence[Row]) -> str:
    named = [_named(row) for row in rows[:_NAMED]]
    more = f"; and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return "; ".join(named) + more


def _named(row: Row) -> str:
    if row["family"] == "feed":
        return f"{row['monitor'].partition('/')[2]} ({row['meaning']})"
    if row["column_name"] is None:
        return f"all by importance (mean z {row['z']:.1f}, {row['detail']})"
    importance = f"importance {row['importance'] or 0:.1%}"
    if row.get("statistic") == "constant_changed":
        return f"{row['column_name']} ({row['detail']}, {importance})"
    return f"{row['column_name']} (PSI {row['value']:.2g}, usual {row['usual']:.2g}, {importance})"


def _report_query(use_case: str, drop: str, table: str = "drift_report") -> str:
    return (
        f'ml-assets sql "SELECT monitor, value, usual, z, threshold, meaning FROM {use_case}.{table} '
        f"WHERE batch_date = '{drop}' AND state = 'alarm'\""
    )


def finding_of_verdict(use_case: str, verdict: Row) -> Finding:
    """Give the event of a verdict: a promotion, or a candidate refused."""
    promoted = verdict["verdict"] == "promoted"
    if verdict.get("decided_by") == "fallback":
        said = f"for the drops after {verdict['serves_after']}: {verdict['note']}"
        doing = "it retrains when there is something to learn; the next promotion ends the fallback"
        look_at = f"ml-assets performance {use_case}"
        return Finding("gate", "fallback", "info", said, None, None, doing, look_at, is_event=True)
    if verdict.get("decided_by") == "experiment":
        said = f"for the drops after {verdict['serves_after']}: {verdict['note']}"
        doing = "the champion serves all units of the drops after; the challenger is refused"
        look_at = f"ml-assets experiment {use_case} status"
        return Finding("gate", "experiment_aborted", "warning", said, None, None, doing, look_at, is_event=True)
    reasons = cast("list[dict[str, Any]]", verdict["reasons"] or [])
    broken = [f"{reason['code']}: {reason['message']}" for reason in reasons if not reason["passed"]]
    waits = verdict["verdict"] == "awaiting_approval"
    what = "awaits approval" if waits else "was measured in a dry run" if verdict["verdict"] == "dry_run" else ""
    by = verdict.get("decided_by") or "gate"
    what = what or f"was {verdict['verdict']}" + ("" if by == "gate" else f" by {by}")
    said = f"{verdict['model_version']} {what} as of {verdict['as_of']} (gate {verdict['gate']})"
    if broken:
        said += ": " + "; ".join(broken)
    doing = "it serves the drops after" if promoted else "the champion before it goes on serving"
    kind = "promotion" if promoted else "awaiting_approval" if waits else "refused_candidate"
    then = f"ml-assets approve {use_case} {verdict['model_version']}" if waits else f"ml-assets status {use_case}"
    return Finding(
        "gate", kind, "info" if promoted else "warning", said, verdict["gain"], None, doing, then, is_event=True
    )


_OF_EXPERIMENT = {  # by event: what is done by itself from then on
    "started": "it is judged after every drop, and aborted by itself when it surely does worse than allowed",
    "extended": "it goes on for as long again, and is judged after every drop",
    "passed": "it goes on serving its share until a person concludes it",
    "concluded": "one model serves all units of the drops after",
    "ended": "it takes no unit of the drops after; nothing was decided about the challenger",
}


def finding_of_experiment(use_case: str, event: Row) -> Finding | None:
    """Give the event of an experiment; None of an abort: it is in the record of champions."""
    kind = event["event"]
    if kind not in _OF_EXPERIMENT:
        return None
    name, why = event["experiment"], f": {event['note']}" if event["note"] else ""
    said = f"experiment {name} {kind} for the drops after {event['after']}, by {event['decided_by']}{why}"
    look_at = f"ml-assets experiment {use_case} status {name}"
    doing = _OF_EXPERIMENT[kind]
    return Finding(f"experiment/{name}", f"experiment_{kind}", "info", said, None, None, doing, look_at, is_event=True)
