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
    newer settings then lie beside it as dagster.yaml.new, and a warning says so once.
    """
    home.mkdir(parents=True, exist_ok=True)
    target, record, newer = home / "dagster.yaml", home / _WRITTEN, home / "dagster.yaml.new"
    wanted = settings.read_bytes()
    found = target.read_bytes() if target.exists() else None
    written = record.read_text(encoding="ascii").strip() if record.exists() else None
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


def replace_settings(settings: Path, home: Path, *, is_dry_run: bool = False) -> bool:
    """Replace the dagster.yaml that an earlier release wrote by `settings`, and say whether there is one.

    A file that begins as the project's does and of which nothing is recorded is likely one: it may name what is no
    longer there. It is kept as dagster.yaml.before.
    """
    target, wanted = home / "dagster.yaml", settings.read_bytes()
    found = target.read_bytes() if target.exists() else wanted
    is_earlier = found != wanted and found.splitlines()[:1] == wanted.splitlines()[:1]
    if not is_earlier or (home / _WRITTEN).exists():
        return False
    if not is_dry_run:
        write_whole(home / "dagster.yaml.before", found)
        write_whole(target, wanted)
        write_whole(home / _WRITTEN, hashlib.sha256(wanted).hexdigest().encode())
    return True
