"""Pages of the site that are sections of README.md, so that each text stands once.

mkdocs calls `on_files` before it reads pages. A section of README.md becomes the page that SECTIONS names; links to
`docs/…` become links among pages, and links to files outside of docs become plain code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

SECTIONS = {
    "From the terminal": "commands.md",
    "The graph": "graph.md",
    "One rule": "one_rule.md",
    "Your own data": "own_data.md",
    "What it does on a bad day": "bad_days.md",
    "Glossary": "glossary.md",
    "Limits": "limits.md",
}


def pages_of(readme: str) -> dict[str, str]:
    """Give the pages that README.md makes, by name.

    Raises
    ------
    KeyError
        If a section is not there.
    """
    found = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", readme, flags=re.MULTILINE))
    return {page: f"# {title}\n{_relinked(found[title])}" for title, page in SECTIONS.items()}


def _relinked(text: str) -> str:
    text = re.sub(r"\]\(docs/decisions\)", "](decisions/index.md)", text)
    return re.sub(r"\]\(docs/", "](", re.sub(r"\[([^]]*)\]\(((?!docs/|https?:|#)[^)]*)\)", r"`\2`", text))


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of README.md."""
    from mkdocs.structure.files import File

    root = Path(config["config_file_path"]).parent
    for name, text in pages_of((root / "README.md").read_text(encoding="utf-8")).items():
        files.append(File.generated(config, name, content=text))
    decisions = sorted((root / "docs" / "decisions").glob("*.md"))
    listed = [f"- [{path.stem[:4]} {path.read_text().splitlines()[0].lstrip('# ')}]({path.name})" for path in decisions]
    files.append(File.generated(config, "decisions/index.md", content="# Decisions\n\n" + "\n".join(listed) + "\n"))
    return files
