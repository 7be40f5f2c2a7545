"""A kind of behaviour in one file: whatever changes, the order of the scores stays much as it was."""

from __future__ import annotations

from ml_assets.training.behaviour_kind import BehaviourKind, BehaviourTrial, Judged


def judge_order(trial: BehaviourTrial) -> Judged:
    """Compare the ranks of the rows before and after the change, by Spearman's correlation."""
    from scipy.stats import spearmanr

    least = float(trial.behaviour.parameters.get("min_correlation", 0.9))
    found = float(spearmanr(trial.model.predict(trial.rows), trial.model.predict(trial.changed)).statistic)
    message = f"ranks before and after correlate by {found:.3f}, asked are {least:.3f}"
    return Judged(found >= least, len(trial.rows), found, least, message)


KIND = BehaviourKind("keeps_order", judge_order, needs=("change",))
