"""Which process does some work, and whether it still goes on."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_process() -> str:
    """Name this process so that no later one has the same name: machine, number and start."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def has_ended(process: str) -> bool:
    """Return whether a process named by `this_process` has ended; of another machine's that is not known: False."""
    host, number, started = process.rsplit(":", 2)
    return host == socket.gethostname() and _started(int(number)) != started


def _started(number: int) -> str:
    """Give when a process started, in the kernel's ticks; empty where there is none."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    except OSError:
        return "" if Path("/proc/self").exists() else _is_alive(number)
    return "" if fields[0] == "Z" else fields[19]


def _is_alive(number: int) -> str:
    """Say whether there is a process, on a machine that has no /proc."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        return "alive"
    return "alive"


def is_running(number: int) -> bool:
    """Return whether this machine has a process of a number."""
    return _started(number) != ""
