"""Rows of a drop into a table of a database, or to a webhook: as often as a drop is run again, they are there once."""

from __future__ import annotations

import hashlib
import json
import math
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_assets.spec.deliveries import Delivery
from ml_assets.spec.drop import DropKey
from ml_assets.stores.databases import DatabaseError, opened, replace_part, resolve_address
from ml_assets.stores.landing import write_whole

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection, Table

_WAIT_S = 30
KEY = ("batch_date", "example_id")


class DeliveryError(RuntimeError):
    """What cannot be delivered, with where to and why."""


def hand_over(record: Path, use_case: str, delivery: Delivery, drop: DropKey, rows: pa.Table) -> str | None:
    """Hand over the rows of a drop to a database or a webhook; say where they are, or None where there is no row.

    Parameters
    ----------
    record
        The folder of what was delivered: what a webhook took is noted there, and not sent to it again.

    Raises
    ------
    DeliveryError
        If it cannot be reached, or does not take them. Nothing of the drop is changed in a database then.
    """
    address = str(delivery.url)
    try:
        if delivery.format == "database":
            with opened(address, is_read_only=False) as connection:
                table = _table(connection, delivery, rows)
                replace_part(connection, table, {"batch_date": drop}, [_storable(row) for row in rows.to_pylist()])
            return f"{delivery.into} of {address}" if rows.num_rows else None
        return _call(record, resolve_address(address), use_case, delivery, drop, rows)
    except DatabaseError as error:
        raise DeliveryError(f"{delivery.table} of {drop} cannot be delivered to {address}: {error}") from error


def _table(connection: Connection, delivery: Delivery, rows: pa.Table) -> Table:
    """Find the table, or make it with the columns of the rows; its key is the drop and the example."""
    import sqlalchemy as sa

    schema, _, name = delivery.into.rpartition(".")
    metadata = sa.MetaData()
    if sa.inspect(connection).has_table(name, schema=schema or None):
        table = sa.Table(name, metadata, schema=schema or None, autoload_with=connection)
        _require_columns(table, delivery, rows)
        return table
    columns = [
        sa.Column(field.name, _sql_type(str(field.type)), primary_key=field.name in KEY, nullable=field.name not in KEY)
        for field in rows.schema
    ]
    table = sa.Table(name, metadata, *columns, schema=schema or None)
    table.create(connection)
    return table


def _require_columns(table: Table, delivery: Delivery, rows: pa.Table) -> None:
    missing = [name for name in rows.column_names if name not in table.columns]
    if missing:
        listed = ", ".join(f"{name} ({rows.schema.field(name).type})" for name in missing)
        raise DatabaseError(f"the table {delivery.into} lacks {listed}; add it, or deliver into another table")
    if {column.name for column in table.primary_key.columns} != set(KEY):
        found = ", ".join(column.name for column in table.primary_key.columns) or "none"
        raise DatabaseError(f"the table {delivery.into} has the primary key {found}; allowed: {', '.join(KEY)}")


def _sql_type(arrow: str) -> Any:
    import sqlalchemy as sa

    if arrow.startswith("timestamp"):
        return sa.DateTime(timezone="tz=" in arrow)
    if arrow.startswith(("int", "uint")):
        return sa.BigInteger()
    kinds = {"double": sa.Double(), "float": sa.Double(), "bool": sa.Boolean(), "date32[day]": sa.Date()}
    return kinds.get(arrow, sa.Text())


def _storable(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row whose lists and mappings are JSON."""
    return {
        name: json.dumps(each, default=str) if isinstance(each, list | dict) else each for name, each in row.items()
    }


def _call(record: Path, address: str, use_case: str, delivery: Delivery, drop: DropKey, rows: pa.Table) -> str | None:
    """Post the rows, unless they were taken before; a drop that has no rows any more is posted too."""
    if not address.startswith(("http://", "https://")):
        raise DatabaseError("found no address of the web; allowed: one that begins with https:// or http://")
    body = json.dumps(
        {"use_case": use_case, "table": delivery.table, "drop": str(drop), "rows": _plain(rows.to_pylist())},
        default=str, allow_nan=False,
    ).encode()  # fmt: skip
    sha256 = hashlib.sha256(body).hexdigest()
    name = hashlib.sha256(f"{address}\n{delivery.table}".encode()).hexdigest()[:16]
    noted = record / ".sent" / name / str(drop)
    was_sent = noted.is_file()
    if (was_sent and noted.read_text(encoding="utf-8") == sha256) or (not was_sent and not rows.num_rows):
        return str(delivery.url) if rows.num_rows else None
    headers = {"Content-Type": "application/json", "Idempotency-Key": sha256}
    request = urllib.request.Request(address, body, headers, method="POST")  # noqa: S310 - begins with http
    try:
        with urllib.request.build_opener(_NoRedirect()).open(request, timeout=_WAIT_S) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        raise DatabaseError(f"it answered {error.code}; allowed: a status of 200 to 299") from error
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise DatabaseError(f"it does not answer: {getattr(error, 'reason', error)}") from error
    write_whole(noted, sha256.encode())
    return str(delivery.url) if rows.num_rows else None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: the rows go to the declared address alone."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _plain(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give rows that JSON can hold: what is not finite is null."""
    return [
        {name: None if isinstance(each, float) and not math.isfinite(each) else each for name, each in row.items()}
        for row in rows
    ]
