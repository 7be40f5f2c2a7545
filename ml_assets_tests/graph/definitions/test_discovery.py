"""A use case that cannot be used takes no other with it, whatever is wrong with it."""

from __future__ import annotations

import itertools
import logging
import shutil
from pathlib import Path

import dagster as dg
import pytest

from ml_assets.graph.definitions.discovery import build_declared, load_use_cases
from ml_assets.spec.declaration import DeclarationError
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import DEFS_FOLDER, flagship
from ml_assets_tests.spec.test_malformed import CASES, write_case

_numbers = itertools.count()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own with the flagship; more use cases can be laid beside it."""
    found = tmp_path / f"several_use_cases_{next(_numbers)}"
    shutil.copytree(DEFS_FOLDER / "flight_delays", found / "defs" / "flight_delays")
    for folder in (found, found / "defs"):
        (folder / "__init__.py").touch()
    project = f'[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "{found.name}"\n'
    (tmp_path / "pyproject.toml").write_text(project + 'registry_modules = ["ml_assets"]\n')
    monkeypatch.syspath_prepend(tmp_path)
    return found


def load(package: Path) -> dg.Definitions:
    return load_use_cases(package, lambda: dg.load_from_defs_folder(path_within_project=package))


def keys_by_use_case(loaded: dg.Definitions) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for key in loaded.resolve_asset_graph().get_all_asset_keys():
        found.setdefault(key.path[0], set()).add("/".join(key.path[1:]))
    return found


@pytest.mark.slow  # some two hundred declarations; the tests below are its quick kind
def test_every_malformed_declaration_at_once_leaves_the_flagship_as_it_is(
    package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alone = keys_by_use_case(load(package))["flight_delays"]
    names = [f"broken_{number}" for number in range(len(CASES))]
    for name, (_, case) in zip(names, CASES, strict=True):
        write_case(case, package / "defs" / name)
    write_case({"case": "none", "change": [["name: parcels", "name: sound_parcels"]]}, package / "defs/sound_parcels")

    with caplog.at_level(logging.WARNING, logger="ml_assets"):
        found = keys_by_use_case(load(package))

    assert found.pop("flight_delays") == alone
    assert {"features/features", "models/champion"} <= found.pop("sound_parcels")
    assert found == {name: {"broken_declaration"} for name in names}
    assert all(f"{name} is broken and was left out" in caplog.text for name in names)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("type: ml_assets.UseCase\nattributes:\n\tname: x\n", "defs.yaml:3 found a tab"),
        ("type: some.other.Component\nattributes: {name: a}\n", "defs.yaml:1 type: found 'some.other.Component'"),
        ("", "defs.yaml:1 found nothing"),
    ],
)
def test_declaration_that_dagster_cannot_read_shows_one_asset_and_raises_an_incident(
    package: Path, text: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = package / "defs" / "no-name of a use case"
    folder.mkdir()
    (folder / "defs.yaml").write_text(text)
    state = tmp_path / "state"
    monkeypatch.setenv("ML_ASSETS_DATA", str(state))

    loaded = load(package)

    graph = loaded.resolve_asset_graph()
    (shown,) = [key for key in graph.get_all_asset_keys() if key.path[0] == folder.name]
    assert line in (graph.get(shown).description or "")
    sensors = {sensor.name: sensor for sensor in loaded.get_repository_def().sensor_defs}
    sensors["no_name_of_a_use_case_alerts"].evaluate_tick(dg.build_sensor_context())
    (incident,) = AlertOutbox(StatePaths(state)).incidents(folder.name, open_only=True)
    assert (incident.kind, line in incident.message) == ("broken_use_case", True)


def test_use_case_that_cannot_be_built_is_a_mistake_of_its_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> dg.Definitions:
        raise ValueError("two assets of one name")

    monkeypatch.setattr("ml_assets.graph.definitions.discovery.build_use_case", refuse)

    with pytest.raises(DeclarationError, match=r"defs\.yaml:1 cannot be built: ValueError: two assets of one name"):
        build_declared(flagship())


def test_use_case_whose_reading_fails_is_left_out_like_one_with_mistakes(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RecursionError("a fault of the parser")

    monkeypatch.setattr("ml_assets.spec.declaration._locate", fail)

    assert keys_by_use_case(load(package)) == {"flight_delays": {"broken_declaration"}}


def test_error_that_no_declaration_explains_is_raised(package: Path) -> None:
    def fail() -> dg.Definitions:
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        load_use_cases(package, fail)
