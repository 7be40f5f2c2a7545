"""Files of every format with bytes changed, cut or added at random: read or refused by name, and none crashes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_assets.ingestion.unpacking import pack
from ml_assets_tests.ingestion.conftest import Ingest
from ml_assets_tests.ingestion.test_file_formats import PLAIN, SHEET, declare, parquet, sheet

JSON = b'{"id": "a1", "n": 1200, "kg": 1.5, "day": "2024-02-01"}\n{"id": "b", "ok": true, "x": [1, {"y": null}]}\n'
SOUND: dict[str, tuple[dict[str, Any], bytes]] = {
    "gzip": ({"compression": "gzip"}, pack(PLAIN.encode(), "gzip")),
    "zstd": ({"compression": "zstd"}, pack(PLAIN.encode(), "zstd")),
    "utf-16": ({"encoding": "utf-16"}, PLAIN.encode("utf-16")),
    "jsonl": ({"format": "jsonl"}, JSON),
    "parquet": ({"format": "parquet"}, parquet(id=["a", "b"], n=[1, 2], kg=[1.5, None], day=["2024-02-01", None],
                                               seen_at=[None, None], ok=[True, False])),
    "xlsx": ({"format": "xlsx"}, sheet(SHEET[1:4])),
}  # fmt: skip
CHANGE = st.tuples(
    st.floats(0, 1, exclude_max=True), st.sampled_from(["flip", "cut", "add", "drop"]), st.binary(max_size=6)
)


def changed(content: bytes, changes: list[tuple[float, str, bytes]]) -> bytes:
    found = bytearray(content)
    for where, how, more in changes:
        at = int(where * len(found))
        if how == "flip" and found:
            found[at] ^= more[0] if more else 0xFF
        elif how == "cut":
            del found[at:]
        elif how == "add":
            found[at:at] = more
        else:
            del found[at : at + 1 + len(more)]
    return bytes(found)


@pytest.mark.parametrize("kind", list(SOUND))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(CHANGE, min_size=1, max_size=4))
def test_damaged_file_is_read_or_refused_by_name(
    ingest: Ingest, kind: str, changes: list[tuple[float, str, bytes]]
) -> None:
    file, content = SOUND[kind]

    rows, (receipt,) = ingest.read(declare(file), changed(content, changes))

    assert receipt.rows == len(rows)
    assert receipt.refusal is None or receipt.refusal.startswith("file_refused:")
    assert all(row["_refused"] == receipt.refusal for row in rows)
