"""A shop's database for tests: orders that are written, changed and deleted, on SQLite or a real PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

COLUMNS = "id VARCHAR(20) PRIMARY KEY, town VARCHAR(20), total NUMERIC(12, 2), updated_at {moment}"


@dataclass(frozen=True)
class Shop:
    """A database at `url` with a table `orders`."""

    url: str

    def run(self, sql: str, *values: dict[str, Any]) -> None:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text(sql), list(values) or None)
        engine.dispose()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(sa.text(sql))]
        engine.dispose()
        return found

    def make(self, moment: str) -> None:
        self.run(f"CREATE TABLE orders ({COLUMNS.format(moment=moment)})")

    def write(self, *rows: tuple[str, str, float, datetime]) -> None:
        """Insert rows, or change those that are there."""
        is_text = self.url.startswith("sqlite")
        values = [
            {"id": id_, "town": town, "total": total, "updated_at": f"{at:%Y-%m-%d %H:%M:%S}" if is_text else at}
            for id_, town, total, at in rows
        ]
        self.run("DELETE FROM orders WHERE id = :id", *({"id": each["id"]} for each in values))
        self.run("INSERT INTO orders VALUES (:id, :town, :total, :updated_at)", *values)

    def delete(self, *ids: str) -> None:
        for each in ids:
            self.run("DELETE FROM orders WHERE id = :id", {"id": each})


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Start Debian's PostgreSQL on a port and in a folder of its own; give its address, and end it.

    The server refuses to run as root: then it runs as the user `postgres`.
    """
    programs = _programs()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    as_user: dict[str, Any] = {}
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        os.chown(folder, user.pw_uid, user.pw_gid)
    options = {"capture_output": True, "cwd": "/", **as_user}
    data = folder / "data"
    subprocess.run([programs / "initdb", "-D", data, "-U", "shop", "-A", "trust", "--no-sync"], check=True, **options)
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    start = [programs / "pg_ctl", "-D", data, "-o", settings, "-w", "-t", "60", "-l", folder / "log", "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **as_user)
    try:
        yield f"postgresql+psycopg://shop@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], check=True, **options)
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return found[-1] if found else Path(shutil.which("initdb") or "").parent


def has_postgres() -> bool:
    """Say whether the server is installed."""
    return (_programs() / "initdb").is_file()
