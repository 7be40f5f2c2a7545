"""Packed bytes to the bytes that were packed, within a bound; what was cut or is something else is refused by name."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import IO, TYPE_CHECKING, cast

from ml_assets.spec.file_format import Compression, FileFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20
_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
MEGABYTE = 1_000_000


class RefusedFileError(ValueError):
    """A file that cannot be read by its declared format: the reason code, and what was found."""

    def __init__(self, reason: str, found: str | None = None) -> None:
        self.reason = f"file_refused:{reason}"
        self.found = found
        super().__init__(reason)


def unpack(content: bytes, declared: FileFormat) -> bytes:
    """Unpack the bytes of a file as its format declares.

    Raises
    ------
    RefusedFileError
        If they are not packed so (`not_gzip`), end too early or are damaged (`gzip_cut_or_damaged`), or unpack to more
        than `max_expanded_mb` (`expands_beyond_bound`).

    Examples
    --------
    >>> unpack(gzip.compress(b"id,n"), FileFormat(compression="gzip"))
    b'id,n'
    """
    kind = declared.compression
    if kind == "none":
        return content
    if not content:
        raise RefusedFileError("empty")
    if not content.startswith(_MAGIC[kind]):
        raise RefusedFileError(f"not_{kind}", looks_like(content))
    bound, parts, length = declared.max_expanded_mb * MEGABYTE, list[bytes](), 0
    try:
        for part in _parts(content, kind):
            parts.append(part)
            length += len(part)
            if length > bound:
                raise RefusedFileError("expands_beyond_bound", f"more than {declared.max_expanded_mb:,} MB")
    except (EOFError, OSError, zlib.error) as error:
        raise RefusedFileError(f"{kind}_cut_or_damaged", f"{length:,} bytes could be read: {error}") from error
    return b"".join(parts)


def pack(content: bytes, kind: Compression) -> bytes:
    """Pack bytes; the same bytes give the same."""
    if kind == "gzip":
        return gzip.compress(content, mtime=0)
    if kind == "zstd":
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as target:
            target.write(content)
        return sink.getvalue().to_pybytes()
    return content


def _parts(content: bytes, kind: str) -> Iterator[bytes]:
    stream: IO[bytes]
    if kind == "gzip":
        stream = cast("IO[bytes]", gzip.GzipFile(fileobj=io.BytesIO(content)))
    else:
        import pyarrow as pa

        stream = cast("IO[bytes]", pa.CompressedInputStream(pa.BufferReader(content), "zstd"))
    with stream:
        while part := stream.read(_CHUNK):
            yield part


def looks_like(content: bytes) -> str | None:
    """Say what kind of file the first bytes are of, where they tell.

    >>> [looks_like(each) for each in (b"PAR1", b"id,n")]
    ['looks_like:parquet', None]
    """
    kinds = {
        "utf16": (b"\xff\xfe", b"\xfe\xff"),
        "gzip": (_MAGIC["gzip"],),
        "zstd": (_MAGIC["zstd"],),
        "zip_or_xlsx": (b"PK\x03\x04",),
        "parquet": (b"PAR1",),
        "xls": (b"\xd0\xcf\x11\xe0",),
    }
    return next((f"looks_like:{kind}" for kind, starts in kinds.items() if content.startswith(starts)), None)
