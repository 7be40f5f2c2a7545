"""What a model card says, and in which order; after Mitchell et al., "Model cards" (2019)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ml_assets.pipeline.champion.record import spell_decision
from ml_assets.pipeline.evaluation.card_facts import CardFacts, Row
from ml_assets.reports.card import Card, Section
from ml_assets.reports.evidence_pictures import draw_quality
from ml_assets.reports.pictures import slice_losses_png
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.landing import write_whole
from ml_assets.stores.use_case_state import UseCaseState

_MOST = 15
_SCORES = {"binary": "probabilities", "regression": "means", "count": "mean counts"}
_LEAST_SHOWN = 100  # examples of a slice, below which its loss says little
_VERDICTS = {
    "promoted": "serves",
    "refused": "was refused",
    "awaiting_approval": "waits for a person's approval",
    "dry_run": "was measured only",
}


def build_card(spec: UseCaseSpec, facts: CardFacts) -> Card:
    """Write the card of the newest candidate."""
    return Card(f"{spec.name}: {facts.comparison.row.model_version}", list(_sections(spec, facts)))


def write_card(state: UseCaseState, facts: CardFacts, card: Card) -> Path:
    """Write the card as a page and as Markdown; give the page."""
    folder, version = state.paths.model_cards(state.use_case), facts.comparison.row.model_version
    write_whole(folder / f"{version}.html", card.to_html().encode())
    write_whole(folder / f"{version}.md", card.to_markdown().encode())
    return folder / f"{version}.html"


def _sections(spec: UseCaseSpec, facts: CardFacts) -> Iterator[Section]:
    yield _summary(spec, facts)
    yield _data(spec, facts)
    yield _quality(spec, facts)
    yield _slices(facts)
    if facts.behaviours:
        yield _behaviours(facts)
    yield _changes(facts)
    yield _candidates_compared(facts)
    yield _features(facts)
    yield _limits(spec, facts)
    yield _lineage(facts)
    yield _decisions(facts)


def _summary(spec: UseCaseSpec, facts: CardFacts) -> Section:
    newest = facts.entries[-1] if facts.entries else None
    status = "has no recorded verdict" if newest is None else _VERDICTS[newest["verdict"]]
    if newest is not None and newest["verdict"] == "promoted":
        status += f" drops from {spec.calendar.next_drop(newest['serves_after'])} on, until a newer one does"
    row = facts.comparison.row
    return Section(
        "In short",
        [
            spec.description.strip(),
            f"A model of the candidate {row.candidate}, trained as of {row.as_of}. It {status}.",
            f"Owners: {', '.join(spec.owners) or 'none declared'}. A daily worklist holds {spec.worklist.capacity}.",
        ],
    )


def _data(spec: UseCaseSpec, facts: CardFacts) -> Section:
    plan, inputs, after = facts.drawn["plan"], facts.drawn["inputs"], facts.comparison.candidate.recipe.history_after
    rows = [
        [
            name,
            f"{split['n']:,}",
            f"{split['first']} to {split['last']}",
            f"{split['share']:.1%}" if facts.comparison.task.has_classes else _number(split["share"]),
        ]
        for name in ("train", "holdout")
        if (split := facts.splits.get(name)) is not None
    ]
    versions = ", ".join(f"{name} version {number}" for name, number in inputs.items())
    history: list[str] = []
    if after is not None:
        history.append(f"It learned from examples after {after:%Y-%m-%d %H:%M} UTC alone, as `model.history` declares "
                       "or a change asked for; older ones of the training set were left out.")  # fmt: skip
    return Section(
        "What data",
        [
            f"Training set version {facts.comparison.row.training_set_version}, drawn from {versions}.",
            f"Sources: {', '.join(source.name for source in spec.sources)}.",
            f"Labels known by {plan['known_until']}; examples matured by {plan['matured_until']}.",
            "Examples that matured without a label are not in it.",
            *history,
            f"Left out, because a feed was broken: {', '.join(plan['excluded']) or 'no drop'}.",
        ],
        ["part", "examples", "drops", facts.comparison.task.label_title],
        rows,
    )


def _quality(spec: UseCaseSpec, facts: CardFacts) -> Section:
    found, roles = facts.comparison, list(facts.comparison.scores)
    by_name: dict[str, dict[str, Row]] = {}
    for row in facts.measures:
        by_name.setdefault(row["measure"], {})[row["role"]] = row
    rows = [
        [name.replace("_", " "), *(_estimate(of_role.get(role)) for role in roles)] for name, of_role in by_name.items()
    ]
    drawn = draw_quality(found, spec.monitoring.costs.false_alarm, spec.monitoring.costs.missed)
    days = found.days
    window = f"{min(days)} to {max(days)}, {len(days):,} examples" if days else "empty"
    return Section(
        "How good",
        [f"On the newest matured window that neither model has seen: {window}. Brackets: 90 % of resampled days."],
        ["measure", *roles],
        rows,
        {} if drawn is None else drawn.pictures,
    )


def _slices(facts: CardFacts) -> Section:
    task, loss = facts.comparison.task, facts.comparison.task.loss_metric
    declared = [row for row in facts.slices if row["kind"] == "declared"]
    large = [row for row in declared if row["n"] >= _LEAST_SHOWN]
    worst = sorted(large, key=lambda row: -row[loss.name])[:_MOST]
    small = ", ".join(f"{row['column']} {row['value']} ({row['n']})" for row in declared if row["n"] < _LEAST_SHOWN)
    found = [row for row in facts.slices if row["kind"] == "discovered"][:_MOST]
    sentences = [f"The declared slices where its {loss} is highest; gain is over the champion, or the baseline."]
    sentences += [f"Too few examples to say: {small}."] if small else []
    sentences += [
        f"Found: {row['column']} {row['value']}, {row['n']} examples: its loss is {row['surprise']:+.4f} above what "
        f"its own scores expect (adjusted p {row['p_value']:.2g}): it is wrong there, not only unsure."
        for row in found
    ] or ["No slice was found where its loss is surely higher than its own scores expect."]
    return Section(
        "For whom bad",
        sentences,
        ["slice", "examples", task.label_title, "mean score", str(task.loss_metric), "gain"],
        [
            [f"{row['column']} {row['value']}", str(row["n"]),
             f"{row[task.mean_label]:.3f}", f"{row['mean_score']:.3f}",
             _bracketed(row[loss.name], row["loss_lower"], row["loss_upper"]),
             f"{row['gain']:+.1%}" if row["gain"] is not None else ""]
            for row in worst
        ],
        {f"{loss} by slice": slice_losses_png(loss, declared)} if declared else {},
    )  # fmt: skip


def _behaviours(facts: CardFacts) -> Section:
    rows = [[row["name"], row["kind"], row["state"], row["message"]] for row in facts.behaviours]
    return Section("How it behaves", [], ["behaviour", "kind", "state", "what was seen"], rows)


def _changes(facts: CardFacts) -> Section:
    found = facts.comparison
    if found.champion is None or found.incumbent is None:
        sentence = "There was no champion before it."
        if found.incumbent is not None:
            sentence = (
                f"{found.incumbent.model_version} can score nothing any more: declared otherwise by now, or not at "
            )
            sentence += f"all, are {', '.join(found.lacking)}."
        return Section("What changed since the last one", [sentence])
    before, now = found.champion, found.candidate
    sentences = [
        f"Compared with {found.incumbent.model_version}, which serves its as_of.",
        f"Trained until {now.trained_until[:10]}, the last one until {before.trained_until[:10]}.",
    ]
    newest = facts.entries[-1] if facts.entries else {}
    if newest.get("gain") is not None and newest["gain_lower"] is not None:
        gain, lower, upper = (newest[name] for name in ("gain", "gain_lower", "gain_upper"))
        loss = str(found.task.loss_metric).capitalize()
        sentences.append(f"{loss} gained on it: {gain:+.1%} ({lower:+.1%} to {upper:+.1%}).")
    added = [name for name in now.features if name not in before.features]
    removed = [name for name in before.features if name not in now.features]
    sentences.append(f"Features added: {', '.join(added) or 'none'}; removed: {', '.join(removed) or 'none'}.")
    if now.recipe != before.recipe:
        named = [
            key for key in type(now.recipe).model_fields if getattr(now.recipe, key) != getattr(before.recipe, key)
        ]
        sentences.append(f"The recipe differs in: {', '.join(named)}.")
    ours, theirs = _shares(facts.importance), _shares(facts.champion_importance)
    names = sorted({*ours, *theirs}, key=lambda name: -abs(ours.get(name, 0) - theirs.get(name, 0)))[:8]
    rows = [[name, f"{theirs.get(name, 0):.1%}", f"{ours.get(name, 0):.1%}"] for name in names]
    return Section(
        "What changed since the last one", sentences, ["feature it leans on differently", "last one", "this one"], rows
    )


def _candidates_compared(facts: CardFacts) -> Section:
    task = facts.comparison.task
    shown = (task.loss_metric, task.headline)
    names = [f"{part}{each.name}" for part in ("ahead_", "") for each in shown]
    rows = [
        [row["candidate"], row["kind"], *(_number(row[name]) for name in names), "yes" if row["is_chosen"] else ""]
        for row in facts.candidates
    ]
    sentence = "Chosen on windows ahead of its training rows; the holdout is the gate's."
    heads = [
        "candidate",
        "kind",
        *(f"{each} ahead" for each in shown),
        *(f"{each}, holdout" for each in shown),
        "taken",
    ]
    return Section("Compared with simpler models", [sentence], heads, rows)


def _features(facts: CardFacts) -> Section:
    shares = sorted(_shares(facts.importance).items(), key=lambda item: -item[1])
    rows = [[name, f"{share:.1%}"] for name, share in shares[:_MOST]]
    count = len(facts.comparison.candidate.features)
    return Section("Features", [f"{count} are offered; what it leans on most:"], ["feature", "share"], rows)


def _limits(spec: UseCaseSpec, facts: CardFacts) -> Section:
    sentences = [
        f"Its scores are {_SCORES[spec.task]} as of the batch: what happens later that day is not in them.",
        f"It is judged on labels that are known within {spec.labels.matures_after.days} days; what never gets one is "
        "scored and not judged.",
    ]
    recipe = facts.comparison.candidate.recipe
    sentences.append(
        "It scores any input, however far from what it was trained on."
        if recipe.abstain is None
        else f"It abstains, and the baseline is served, where an input lies further from the training rows than "
        f"{recipe.abstain.max_range_multiple:g} widths of their range."
    )
    stale = spec.retraining.stale_after
    sentences.append(f"It counts as stale {stale.days} days after the newest row it was trained on." if stale else "")
    return Section("Limits", [line for line in sentences if line])


def _lineage(facts: CardFacts) -> Section:
    found = facts.comparison
    rows = [
        ["model version", found.row.model_version],
        ["artifact sha256", found.row.artifact_sha256],
        ["training set", f"version {found.row.training_set_version}, content {found.candidate.training_set_hash}"],
        ["went on from", found.candidate.started_from or "nothing: trained anew"],
        ["recipe", found.candidate.recipe.model_dump_json(exclude_defaults=True)],
    ]
    return Section(
        "Where it came from", ["ml-assets reproduce trains it again and compares the bytes."], ["", ""], rows
    )


def _decisions(facts: CardFacts) -> Section:
    sentences = [
        f"{spell_decision(entry)} (gate {entry['gate']}){': ' + entry['note'] if entry['note'] else ''}"
        for entry in facts.entries
    ]
    reasons = facts.entries[-1]["reasons"] if facts.entries else []
    rows = [[f"{'kept' if each['passed'] else 'broken'} {each['code']}", each["message"]] for each in reasons]
    return Section("Who or what decided", sentences or ["No verdict is recorded."], ["rule", "measured"], rows)


def _shares(importance: Mapping[str, float]) -> dict[str, float]:
    whole = sum(importance.values()) or 1.0
    return {name: value / whole for name, value in importance.items()}


def _estimate(row: Row | None) -> str:
    return "" if row is None else _bracketed(row["estimate"], row["lower"], row["upper"])


def _bracketed(estimate: float | None, lower: float | None, upper: float | None) -> str:
    if estimate is None:
        return "undefined"
    return f"{estimate:.4f}" if lower is None or upper is None else f"{estimate:.4f} ({lower:.4f} to {upper:.4f})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
