"""The reference and the schema say all that the spec says: no key is without a meaning, and none is out of date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.spec.json_schema import SCHEMA_FILE, declaration_schema, models_of, schema_text
from ml_assets.spec.key_meanings import meaning_of, repeated_meanings, unknown_classes
from ml_assets.spec.key_reference import key_reference
from ml_assets.spec.marked_yaml import read_marked
from ml_assets.spec.use_case import UseCaseSpec

REPOSITORY = Path(__file__).parents[2]
DECLARATIONS = [
    REPOSITORY / "ml_assets/defs/flight_delays/defs.yaml",
    REPOSITORY / "ml_assets_tests/second_use_case/late_loans/defs.yaml",
]
MODELS = sorted(models_of(UseCaseSpec), key=lambda model: model.__name__)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_has_one_meaning(model: Any) -> None:
    assert [name for name in model.model_fields if not meaning_of(model, name).strip()] == []
    assert repeated_meanings(model) == []


def test_meanings_are_of_classes_that_exist() -> None:
    assert unknown_classes([*MODELS, *(base for model in MODELS for base in model.__mro__)]) == []


def test_every_key_of_the_spec_is_in_the_reference_with_a_value() -> None:
    sections = key_reference()
    keys = {(section.name, key.name) for section in sections for key in section.keys}

    assert keys == {(m.__name__, info.alias or name) for m in MODELS for name, info in m.model_fields.items()}
    assert sections[0].keys[0].default is None
    page = (REPOSITORY / "docs/reference.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    without = [row.split("|")[1].strip() for row in rows if row.endswith("|  |") and "mapping" not in row.split("|")[2]]
    assert without == [], "each key shows a value"


def test_page_is_up_to_date() -> None:
    written = CliRunner().invoke(app, ["schema", "--markdown"])

    assert (REPOSITORY / "docs/reference.md").read_text() == written.stdout, "run: ml-assets schema --markdown"


def test_schema_beside_the_shipped_use_case_is_up_to_date() -> None:
    assert (REPOSITORY / "ml_assets/defs" / SCHEMA_FILE).read_text() == schema_text(), "run: ml-assets schema --write"


@pytest.mark.parametrize("file", DECLARATIONS, ids=lambda file: file.parent.name)
def test_schema_takes_what_is_sound_and_names_what_is_not(file: Path) -> None:
    schema = declaration_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    declared = as_json(read_marked(file.read_bytes()).content)

    assert [error.message for error in validator.iter_errors(declared)] == []

    declared["attributes"]["clok"] = "data"
    declared["attributes"]["sources"][0]["arrives"] = "always"
    declared["attributes"]["model"]["holdout"] = "7 days"
    found = {error.json_path: error for error in validator.iter_errors(declared)}
    assert set(found) == {"$.attributes", "$.attributes.sources[0].arrives", "$.attributes.model.holdout"}


def test_every_property_of_the_schema_is_explained() -> None:
    schema = declaration_schema()
    parts = [schema["properties"]["attributes"], *schema["$defs"].values()]

    assert [name for part in parts for name, each in part["properties"].items() if not each["description"]] == []
    assert "Default: every_drop" in schema["$defs"]["Source"]["properties"]["arrives"]["description"]


def test_begun_declaration_leads_editors_to_its_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ml_assets.toml").touch()
    rows = "".join(f"a{n},2024-01-{n % 28 + 1:02d},{n}\n" for n in range(60))
    (tmp_path / "orders.csv").write_text(f"id,day,n\n{rows}")
    monkeypatch.setenv("ML_ASSETS_PROJECT", str(tmp_path))

    result = CliRunner().invoke(app, ["new", "late", "--from", str(tmp_path / "orders.csv")])

    assert result.exit_code == 0, result.output
    declaration = tmp_path / "defs/late/defs.yaml"
    first, declared = declaration.read_text().partition("\n")[0], read_marked(declaration.read_bytes()).content
    assert first == "# yaml-language-server: $schema=../use_case.schema.json"
    assert (declaration.parent / first.partition("=")[2]).resolve().read_text() == schema_text()
    errors = Draft202012Validator(declaration_schema()).iter_errors(as_json(declared))
    assert [error.json_path for error in errors] == []


def as_json(value: Any) -> Any:
    """Give what YAML holds as JSON has it: an editor knows dates as texts."""
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
