"""The settings of Dagster's instance: those of the project, put into DAGSTER_HOME unless a person changed them."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from ml_assets.stores.landing import write_whole

_WRITTEN = ".dagster.yaml.sha256"  # the content that was put there last, to tell it from what a person wrote


def put_instance_settings(settings: Path, home: Path) -> bool:
    """Put the file `settings` into `home` as dagster.yaml, and say whether it is there as the project has it.

    A file that this function wrote is replaced by newer settings. A file that a person wrote or changed is kept: the
    newer settings then lie beside it as dagster.yaml.new, and a warning says so once. Of a file that begins as the
    project's does and of which nothing is recorded, an earlier release is the likely author: it is replaced, since it
    may name what is no longer there, and kept as dagster.yaml.before.
    """
    home.mkdir(parents=True, exist_ok=True)
    target, record, newer = home / "dagster.yaml", home / _WRITTEN, home / "dagster.yaml.new"
    wanted = settings.read_bytes()
    found = target.read_bytes() if target.exists() else None
    written = record.read_text(encoding="ascii").strip() if record.exists() else None
    if found not in {None, wanted} and written is None and (found or b"").splitlines()[:1] == wanted.splitlines()[:1]:
        write_whole(home / "dagster.yaml.before", found or b"")
        logging.getLogger("ml_assets").warning(
            "%s is of an earlier release and was replaced; it is kept as dagster.yaml.before: take over what you had "
            "changed there", target,
        )  # fmt: skip
        found = None
    if found in {None, wanted} or hashlib.sha256(found or b"").hexdigest() == written:
        if found != wanted:
            write_whole(target, wanted)
        if written != hashlib.sha256(wanted).hexdigest():
            write_whole(record, hashlib.sha256(wanted).hexdigest().encode())
        newer.unlink(missing_ok=True)
        return True
    if not newer.exists() or newer.read_bytes() != wanted:
        write_whole(newer, wanted)
        logging.getLogger("ml_assets").warning(
            "%s was changed by hand and is kept; the settings of the project are in %s: take over what you want, or "
            "remove dagster.yaml to use them", target, newer.name,
        )  # fmt: skip
    return False
