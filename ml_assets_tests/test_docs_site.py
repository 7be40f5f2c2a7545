"""The documentation is whole: each page is in the site, each link leads somewhere, each command is one."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from ml_assets.cli import app
from ml_assets.spec.file_format import FileFormat
from ml_assets_tests.rehearsal import DEFS_FOLDER, REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))])


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_hooks", DOCS / ".site" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nav_pages() -> list[str]:
    """Give the pages that mkdocs.yml names."""
    found: list[str] = []
    left = list(yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())["nav"])
    while left:
        each = left.pop()
        left += each if isinstance(each, list) else list(each.values()) if isinstance(each, dict) else []
        found += [each] if isinstance(each, str) else []
    return found


def test_every_page_is_in_the_navigation_once(hooks: ModuleType) -> None:
    there = {path.name for path in DOCS.glob("*.md")} | set(hooks.SECTIONS.values()) | {"decisions/index.md"}

    assert sorted(nav_pages()) == sorted(there)


def test_sections_of_the_readme_become_pages_whose_links_lead_on(hooks: ModuleType) -> None:
    pages = hooks.pages_of((REPOSITORY / "README.md").read_text())

    assert all(len(text.splitlines()) > 5 for text in pages.values())
    targets = {target for text in pages.values() for target in re.findall(r"\]\(([^)#]+)", text)}
    missing = [each for each in targets if not each.startswith("http") and not (DOCS / each).exists()]
    assert set(missing) <= {*pages, "decisions/index.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    made = {"own_data.md", "one_rule.md", "bad_days.md", "commands.md", "glossary.md", "graph.md", "limits.md",
            "decisions/index.md"}  # fmt: skip
    targets = {target for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in target} - made

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_the_docs_exists(page: Path) -> None:
    known = {command.name or command.callback.__name__.replace("_", "-")
             for group in app.registered_groups if group.typer_instance is not None
             for command in group.typer_instance.registered_commands
             if command.callback is not None}  # fmt: skip
    named = set(re.findall(r"ml-assets ([a-z][a-z-]+)", page.read_text()))

    assert named - known <= {"new-", "registers"}, f"known: {sorted(known)}"


@pytest.mark.parametrize("page", ["files.md", "databases.md", "projects.md"])
def test_yaml_of_these_pages_is_taken_as_it_stands(page: str) -> None:
    """Read the blocks of `file`, and every source that is whole, also by reference to a use case that ships."""
    from ml_assets.spec.contract import Source
    from ml_assets.spec.shared_parts import SharedParts

    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        declared = yaml.safe_load(block)
        if "file" in declared:
            FileFormat.model_validate(declared["file"])
        shared = SharedParts(DEFS_FOLDER / "of_the_page", "defs.yaml")
        declared = shared.write_out(declared)
        assert shared.faults == []
        for source in declared.get("sources", []):
            filled = {"key": ["id"], "columns": {"id": {"type": "string"}}, **source}
            filled["columns"] = {**{name: {"type": "string"} for name in filled["key"]}, **filled["columns"]}
            Source.model_validate(filled)


@pytest.mark.slow
def test_site_is_built_strictly_and_asks_no_other_server(tmp_path: Path) -> None:
    where = tmp_path / "docs_environment"
    subprocess.run([sys.executable, "-m", "venv", str(where)], check=True)
    pip = [str(where / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    required = [*pip, "--require-hashes", "-r", str(REPOSITORY / "requirements-docs.txt")]
    installed = subprocess.run(required, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"mkdocs cannot be installed here: {installed.stderr[-200:]}")

    built = subprocess.run(
        [str(where / "bin" / "mkdocs"), "build", "--strict", "--site-dir", str(tmp_path / "site")], cwd=REPOSITORY,
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert built.returncode == 0, built.stdout + built.stderr
    for name in ("index.html", "reference.html", "glossary.html", "decisions/index.html"):
        page = (tmp_path / "site" / name).read_text()
        asked = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?://[^\"]+)", page)
        assert asked == []
