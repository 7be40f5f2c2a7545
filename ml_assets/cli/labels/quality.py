"""Show how far labels can be trusted: agreement of annotators, and labels that are likely wrong."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from ml_assets.cli.console import next_steps, print_json, say
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.pipeline.labeling.annotators import AnnotatorReport, report_annotators
from ml_assets.pipeline.labeling.label_errors import LabelErrors, TooFewLabelsError, list_label_errors
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import MissingTableError
from ml_assets.stores.use_case_state import UseCaseState

_SHOWN = 20
_ANNOTATORS = [
    TableColumn("annotator"), TableColumn("answers", 2), TableColumn("compared", 1), TableColumn("agrees"),
    TableColumn("low"), TableColumn("high"), TableColumn(""),
]  # fmt: skip


def run_label_quality(spec: UseCaseSpec, state: UseCaseState, as_of: str, *, as_json: bool) -> None:
    """Judge annotators, where some are declared, and the labels of the newest training set; print what was found."""
    has_annotators = spec.labeling is not None and spec.labeling.annotators is not None
    people = report_annotators(spec, state, as_of) if has_annotators else None
    errors: LabelErrors | None = None
    try:
        errors, unjudged = list_label_errors(spec, state), ""
    except (TooFewLabelsError, MissingTableError) as error:
        unjudged = str(error)
    if as_json:
        print_json(_plain(people, errors, unjudged))
        return
    if people is None:
        say("no annotators are declared: labeling.annotators names a source with an answer a row")
    else:
        _show_people(people)
    if errors is None:
        say(f"labels were not judged: {unjudged}")
    else:
        _show_errors(errors)
    next_steps({
        f"ml-assets label-quality {spec.name} --json": "all disagreements and likely errors",
        f"ml-assets labels {spec.name}": "labels of functions, and what they are worth",
    })  # fmt: skip


def _plain(people: AnnotatorReport | None, errors: LabelErrors | None, unjudged: str) -> dict[str, Any]:
    found: dict[str, Any] = {"annotators": None, "label_errors": None, "not_judged": unjudged or None}
    if people is not None:
        agreement = {
            version: {name: None if isinstance(value, float) and math.isnan(value) else value
                      for name, value in asdict(each).items()}
            for version, each in people.agreement.items()
        }  # fmt: skip
        found["annotators"] = {
            "as_of": people.as_of, "agreement": agreement, "annotators": [asdict(each) for each in people.annotators],
            "disagreements": [
                {"example_id": people.examples[each.place], "answers": dict(each.answers), "consensus": each.consensus,
                 "probability": each.probability}
                for each in people.disagreements
            ],
        }  # fmt: skip
    if errors is not None:
        listed = zip(errors.rows, errors.errors, strict=True)
        found["label_errors"] = {
            "as_of": errors.as_of, "labels": errors.labels, "judged": errors.judged,
            "errors": [
                {"example_id": example, "batch_date": drop, "label": each.given, "suggested": each.suggested,
                 "probability": each.probability, "reason": each.reason}
                for (example, drop), each in listed
            ],
        }  # fmt: skip
    return found


def _show_people(people: AnnotatorReport) -> None:
    rows = [[version, each.alpha, each.low, each.high, each.units, each.values]
            for version, each in people.agreement.items()]  # fmt: skip
    heads = ["guideline", "alpha", "low", "high", "examples", "answers"]
    print_table(f"Krippendorff's alpha as of {people.as_of}", heads, rows)
    rows = [
        [each.annotator, each.answers, each.compared, each.agreement, each.low, each.high,
         "below the others" if each.is_flagged else ""]
        for each in people.annotators
    ]  # fmt: skip
    print_table("annotators and the consensus of the others, 90 % interval", _ANNOTATORS, rows, see="--json")
    shown = [
        [people.examples[each.place], ", ".join(f"{who} {said}" for who, said in each.answers), each.consensus,
         each.probability]
        for each in people.disagreements[:_SHOWN]
    ]  # fmt: skip
    title = f"{len(people.disagreements)} examples are answered differently; the consensus is least sure of these"
    print_table(title, ["example", "answers", "consensus", "probability"], shown)


def _show_errors(errors: LabelErrors) -> None:
    say(
        f"{len(errors.errors)} of {errors.judged} labels are likely wrong; {errors.labels - errors.judged} older ones "
        f"have no prediction ahead of them (training set as of {errors.as_of})"
    )
    rows = [
        [example, drop, each.given, each.suggested, each.probability]
        for (example, drop), each in zip(errors.rows[:_SHOWN], errors.errors, strict=False)
    ]
    if rows:
        print_table("likely label errors", ["example", "drop", "label", "rather", "probability"], rows)
