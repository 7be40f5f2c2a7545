"""What only a person can know of a use case that `new` begins, decided in its files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec


def decide(folder: Path, known_at: Mapping[str, str], label: str, matures_after: str) -> UseCaseSpec:
    """Decide when the rows of each source are known, the label and when it is mature; give the use case."""
    declared = folder / "defs.yaml"
    text = declared.read_text()
    for source, moment in known_at.items():
        head, tail = text.split(f"    - name: {source}\n", 1)
        text = f"{head}    - name: {source}\n" + re.sub("known_at: decide.*", f"known_at: {moment}", tail, count=1)
    text = re.sub(r"(  examples:\n.*\n    sql: )decide.*", r"\1sql/examples.sql", text)
    text = re.sub(r"(  labels:\n.*\n    sql: )decide.*", r"\1sql/labels.sql", text)
    text = re.sub("matures_after: decide.*", f"matures_after: {matures_after}", text)
    declared.write_text(re.sub(r"owners: \[\].*", 'owners: ["team:bench"]', text).replace('unit: ""', "unit: m"))
    for file in ("examples", "labels"):
        path = folder / "sql" / f"{file}.sql"
        kept = [line for line in path.read_text().splitlines() if "TODO" not in line and line.strip() != "decide,"]
        path.write_text("\n".join(kept).replace("decide AS label", f"{label} AS label") + "\n")
    return load_use_case(folder)
