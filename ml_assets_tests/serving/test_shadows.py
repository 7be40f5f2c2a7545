from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from ml_assets.serving.routing import champion_of
from ml_assets.serving.shadows import PastVerdict, as_promotion, shadows_of

MARCH, APRIL, MAY = date(2013, 3, 31), date(2013, 4, 30), date(2013, 5, 31)
JUNE_1 = date(2013, 6, 1)


def verdict(as_of: date, sequence: int, said: str = "promoted") -> PastVerdict:
    return PastVerdict(as_of, sequence, said, f"{as_of}-{sequence}", f"sha-{sequence}")


def named(drop: date, *verdicts: PastVerdict) -> dict[str, str]:
    """Give the model version of each role, checking that its sha256 belongs to it."""
    shadows = shadows_of(drop, verdicts)
    sha256_of = {each.model_version: each.artifact_sha256 for each in verdicts}
    assert all(shadow.artifact_sha256 == sha256_of[shadow.model_version] for shadow in shadows)
    return {shadow.role: shadow.model_version for shadow in shadows}


def test_without_a_verdict_as_of_an_earlier_drop_there_is_no_shadow() -> None:
    assert named(MARCH) == {}
    assert named(MARCH, verdict(MARCH, 1), verdict(APRIL, 2, "refused")) == {}


def test_first_champion_shadows_every_drop_also_its_own() -> None:
    march, april, may = verdict(MARCH, 1), verdict(APRIL, 2), verdict(MAY, 3)

    assert named(date(2013, 4, 1), march, april, may) == {"first_champion": march.model_version}
    assert named(JUNE_1, may, april, march) == {"first_champion": march.model_version}


def test_first_champion_is_the_last_recorded_of_its_drop_as_it_served_then() -> None:
    assert named(JUNE_1, verdict(MARCH, 1), verdict(MARCH, 2), verdict(APRIL, 3)) == {"first_champion": "2013-03-31-2"}


def test_newest_refusal_shadows_until_a_promotion_as_of_its_drop_or_a_newer_one_serves() -> None:
    march, refused = verdict(MARCH, 1), verdict(APRIL, 3, "refused")
    both = {"first_champion": march.model_version, "last_refused": refused.model_version}

    assert named(APRIL, march, refused) == {"first_champion": march.model_version}  # as of the drop itself
    assert named(JUNE_1, march, verdict(APRIL, 2, "refused"), refused) == both
    assert "last_refused" not in named(JUNE_1, march, refused, verdict(APRIL, 4))
    assert "last_refused" not in named(JUNE_1, march, refused, verdict(MAY, 4))


def test_refusal_shadows_while_nothing_was_ever_promoted() -> None:
    assert named(JUNE_1, verdict(APRIL, 1, "refused")) == {"last_refused": "2013-04-30-1"}


days = st.dates(date(2013, 1, 1), date(2013, 1, 31))
verdicts_given = st.lists(st.tuples(days, st.sampled_from(["promoted", "refused"])), max_size=8)


@given(drop=days, known=verdicts_given, later=verdicts_given)
def test_verdicts_as_of_a_drop_or_later_never_change_its_shadows(
    drop: date, known: list[tuple[date, str]], later: list[tuple[date, str]]
) -> None:
    earlier = [verdict(as_of, number, said) for number, (as_of, said) in enumerate(known)]
    future = [verdict(max(as_of, drop), 100 + number, said) for number, (as_of, said) in enumerate(later)]

    shadows = shadows_of(drop, earlier)

    assert shadows_of(drop, [*future, *reversed(earlier)]) == shadows
    champion = champion_of(drop, [as_promotion(each) for each in earlier if each.verdict == "promoted"])
    assert (champion is not None) == any(shadow.role == "first_champion" for shadow in shadows)
