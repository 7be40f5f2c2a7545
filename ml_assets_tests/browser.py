"""A real browser for tests: headless Chromium, driven by its command line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine: apt-get install -y chromium")
_QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
          "--disable-component-update", "--disable-sync", "--password-store=basic")  # fmt: skip


def visit(url: str, profile: Path, *, wait_ms: int = 4_000, hosts: str = "") -> str:
    """Open a page as a person does, let its scripts and requests go on for `wait_ms`, and give the document they leave.

    `profile` keeps cookies from one visit to the next; `hosts` maps names, as in `MAP evil.example 127.0.0.1`.
    """
    rules = [f"--host-resolver-rules={hosts}"] if hosts else []
    command = [
        CHROMIUM,
        *_QUIET,
        *rules,
        f"--user-data-dir={profile}",
        f"--virtual-time-budget={wait_ms}",
        "--dump-dom",
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
