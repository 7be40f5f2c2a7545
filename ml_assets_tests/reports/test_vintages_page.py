from __future__ import annotations

import pytest

from ml_assets.features.outcome_leakage import LeakageSign
from ml_assets.features.revisions import RevisionBand, VintageCounts
from ml_assets.pipeline.training.vintages import SourceVintages, VintageReport
from ml_assets.reports.vintages_page import band_rows, counts_sentence, verdict, vintages_page
from ml_assets.spec.forecasts import ForecastTimes
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.binary import BINARY
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.training.final_values import Flattery
from ml_assets_tests.rehearsal import flagship

HOSTILE = "<script>alert(1)</script>"
KNOWN = {"log_loss": 0.5, "auc": 0.7, "brier": 0.2, "ece": 0.03}
COUNTS = VintageCounts(1200, 300, 0, 18.0, 1.5)
BAND = RevisionBand(HOSTILE, 24, 48, 900, 0.25, 0.5, 2.0)


def with_forecast(**more: str) -> UseCaseSpec:
    """Give the flagship as if its first source were a forecast."""
    times = ForecastTimes.model_validate({"issued_at": "a", "for": "b", **more})
    first = flagship().sources[0].model_copy(update={"forecast": times})
    return flagship().model_copy(update={"sources": (first, *flagship().sources[1:])})


def flattery(promised: tuple[float, float, float], kept: tuple[float, float, float]) -> Flattery:
    final, mixed = ({**KNOWN, "log_loss": 0.5 * (1 - gain[0])} for gain in (promised, kept))
    gains = [Interval(*gain, level=0.9, n_days=40, n=1000) for gain in (promised, kept)]
    return Flattery("trees", (HOSTILE,), "log_loss", KNOWN, final, mixed, *gains)


@pytest.mark.parametrize(
    ("promised", "kept", "said"),
    [
        ((0.2, 0.1, 0.3), (-0.1, -0.2, -0.05), "flatters: it promises log loss 0.4, 20.0% below the 0.5 that is"),
        ((0.2, 0.1, 0.3), (-0.1, -0.2, -0.05), "A model fitted on final values serves worse: 0.55."),
        ((0.2, 0.1, 0.3), (-0.1, -0.2, 0.05), "serves about as well: 0.55."),
        ((0.2, -0.1, 0.3), (0.0, -0.2, 0.05), "Final values promise no surely better log loss: 0.4 beside 0.5"),
    ],
)
def test_verdict_says_what_is_promised_and_what_would_have_served(
    promised: tuple[float, float, float], kept: tuple[float, float, float], said: str
) -> None:
    assert said in verdict(BINARY, flattery(promised, kept))


def test_page_escapes_names_and_shows_every_number() -> None:
    spec = with_forecast()
    sign = LeakageSign("final", HOSTILE, 0.9999, 0.99, 300, "of 300 moments")
    source = SourceVintages(spec.sources[0].name, COUNTS, (BAND,), (sign,))
    page = vintages_page(spec, VintageReport("2024-05-01", (source,), flattery((0.2, 0.1, 0.3), (-0.1, -0.2, -0.05))))

    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3
    for text in ("1,000 examples of 40 days", "24 to 48", "0.25", "1.000", "+20.00%", "-10.00%", "+10.0% to +30.0%"):
        assert text in page, text


def test_forecast_that_is_not_judged_says_why() -> None:
    spec = with_forecast(unrevised="fixed the day before")
    source = SourceVintages(spec.sources[0].name, COUNTS, (), ())
    page = vintages_page(spec, VintageReport("2024-05-01", (source,), flattery((0.2, 0.1, 0.3), (-0.1, -0.2, -0.05))))

    assert "Declared as never revised: fixed the day before." in page
    assert "no moment has two vintages" in page


def test_sentence_and_rows_say_leads_and_delays() -> None:
    source = SourceVintages("demand", VintageCounts(1200, 300, 12, 18.0, 1.5), (), ())

    assert counts_sentence(source) == (
        "1,200 vintages of 300 moments, 12 of them with one alone. The median vintage is issued 18 h ahead of its "
        "moment and known 1.5 h after its issue."
    )
    last = RevisionBand("mw", 192, None, 9, 1.0, 2.0, 3.0)
    assert band_rows([last]) == [["mw", "192 and more", "9", "1", "2", "3"]]
