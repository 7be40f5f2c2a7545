from __future__ import annotations

import struct

import numpy as np
import pytest

from ml_assets.reports.pictures import Picture, PlaceboStrip, placebo_strips_png, reliability_png, score_histogram_png

SIZE_LIMIT = 30_000  # bytes: a picture lives in the event log


@pytest.fixture(scope="module")
def pictures() -> dict[str, bytes]:
    """Draw both pictures of four models on 20,000 made-up scores."""
    rng = np.random.default_rng(0)
    labels = (rng.random(20_000) < 0.25).astype(float)
    scores = {name: rng.beta(2, 5 + number, 20_000) for number, name in enumerate(("a", "b", "candidate", "champion"))}
    return {"reliability": reliability_png(labels, scores), "histogram": score_histogram_png(scores)}


@pytest.mark.parametrize("name", ["reliability", "histogram"])
def test_picture_is_a_small_png_of_dialog_width(name: str, pictures: dict[str, bytes]) -> None:
    png = pictures[name]

    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == (360, 290)
    assert 3_000 < len(png) <= SIZE_LIMIT


def test_same_scores_draw_the_same_bytes(pictures: dict[str, bytes]) -> None:
    scores = {"model": np.array([0.1, 0.4, 0.4, 0.9])}

    assert score_histogram_png(scores) == score_histogram_png(scores)
    assert score_histogram_png(scores) != pictures["histogram"]


def test_reliability_of_one_example_is_drawn() -> None:
    # a gate window can hold next to nothing
    assert len(reliability_png(np.array([1.0]), {"model": np.array([0.7])})) > 3_000


def test_placebo_strips_show_a_window_over_its_threshold() -> None:
    placebos = np.linspace(-1.0, 2.0, 8)
    calm, moved = (PlaceboStrip("training: largest z", placebos, today, 4.0) for today in (1.0, 6.0))

    assert placebo_strips_png([calm, calm]) == placebo_strips_png([calm, calm])
    assert placebo_strips_png([calm, moved]) != placebo_strips_png([calm, calm])
    assert len(placebo_strips_png([calm] * 4)) <= SIZE_LIMIT


def test_picture_stands_inline_with_its_caption() -> None:
    assert Picture(b"png", "how it went").to_markdown() == "![how it went](data:image/png;base64,cG5n)\n\nhow it went"
