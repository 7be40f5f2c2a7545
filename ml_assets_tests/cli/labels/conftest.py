from __future__ import annotations

from pathlib import Path

import pytest

from ml_assets_tests.comment_spam.state import FOLDER


@pytest.fixture(autouse=True)
def on_this_state(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work on the state that a module ran, with the use case of comments alone."""
    monkeypatch.setenv("ML_ASSETS_DATA", str(ran))
    monkeypatch.setattr("ml_assets.cli.console.defs_folder", lambda: FOLDER.parent)
