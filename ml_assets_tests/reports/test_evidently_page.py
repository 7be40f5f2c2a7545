from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from ml_assets.reports.evidently_page import UnsafePageError, draw_page, with_policy
from ml_assets_tests.reports.hostile import HOSTILE

SCRIPTS = "<script>1</script><script>2</script><script>3</script><script>4</script>"


def hostile_frame(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"carrier": rng.choice(HOSTILE, 200), "delay": rng.normal(seed, 1, 200)})


@cache
def hostile_drift_page() -> str:
    return draw_page(hostile_frame(0), hostile_frame(1), rows=200, seed=1)[0]


@pytest.mark.slow  # imports Evidently
def test_values_of_files_end_no_script_and_start_none() -> None:
    page = hostile_drift_page()

    data = page[page.index("<script>") + len("<script>") : page.index("</script>")]
    assert "carrier" in data
    assert not set("<>&\u2028") & set(data)
    assert "\\uff1c/script\\uff1e" in data


@pytest.mark.slow  # imports Evidently
def test_page_allows_its_own_scripts_by_hash_and_fetches_nothing() -> None:
    page = hostile_drift_page()

    policy = page[page.index('content="') + 9 :].partition('"')[0]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert policy.count("sha256-") == 4
    assert "unsafe-inline" not in policy.partition("style-src")[0]
    assert "connect-src" not in policy


@pytest.mark.slow  # imports Evidently
def test_frames_are_not_changed_by_drawing_them() -> None:
    frame, before = hostile_frame(0), hostile_frame(0)

    draw_page(frame, hostile_frame(1), rows=200, seed=1)

    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("more", ["<script>evil()</script>", ""])
def test_page_with_other_scripts_than_known_is_not_written(more: str) -> None:
    html = f"<html><head></head>{SCRIPTS.replace('<script>4</script>', '') if not more else SCRIPTS + more}</html>"

    with pytest.raises(UnsafePageError, match=r"found \d scripts; allowed: 4"):
        with_policy(html)
    assert with_policy(f"<html><head></head>{SCRIPTS}</html>").startswith("<html><head>\n<meta http-equiv=")
