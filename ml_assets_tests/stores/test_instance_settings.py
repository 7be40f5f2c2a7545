from __future__ import annotations

from pathlib import Path

import pytest

from ml_assets.stores.instance_settings import put_instance_settings, replace_settings


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "project.yaml"
    file.write_text("telemetry: {enabled: false}\n")
    return file


def test_settings_of_the_project_are_put_there_and_follow_it(settings: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"

    assert put_instance_settings(settings, home)
    settings.write_text("nux: {enabled: false}\n")
    assert put_instance_settings(settings, home)

    assert (home / "dagster.yaml").read_text() == "nux: {enabled: false}\n"
    assert not (home / "dagster.yaml.new").exists()


@pytest.mark.parametrize("was_there_before", [True, False])
def test_file_of_a_person_is_kept_and_told_once(
    settings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, was_there_before: bool
) -> None:
    home = tmp_path / "home"
    if not was_there_before:
        put_instance_settings(settings, home)
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("mine: true\n")

    assert not put_instance_settings(settings, home)
    assert not put_instance_settings(settings, home)

    assert (home / "dagster.yaml").read_text() == "mine: true\n"
    assert (home / "dagster.yaml.new").read_text() == settings.read_text()
    assert [record.getMessage() for record in caplog.records] == [
        f"{home / 'dagster.yaml'} was changed by hand and is kept; the settings of the project are in dagster.yaml.new:"
        " take over what you want, or remove dagster.yaml to use them"
    ]


def test_removing_the_changed_file_takes_those_of_the_project_again(settings: Path, tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("mine: true\n")
    put_instance_settings(settings, tmp_path)
    (tmp_path / "dagster.yaml").unlink()

    assert put_instance_settings(settings, tmp_path)

    assert (tmp_path / "dagster.yaml").read_text() == settings.read_text()
    assert not (tmp_path / "dagster.yaml.new").exists()


def test_file_of_an_earlier_release_is_replaced_and_kept_beside(settings: Path, tmp_path: Path) -> None:
    settings.write_text("# The Dagster instance.\nstorage: new.module\n")
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("# The Dagster instance.\nstorage: gone.module\n")

    assert replace_settings(settings, home, is_dry_run=True)
    assert (home / "dagster.yaml").read_text().endswith("gone.module\n")
    assert replace_settings(settings, home)
    assert not replace_settings(settings, home)

    assert (home / "dagster.yaml").read_text() == settings.read_text()
    assert (home / "dagster.yaml.before").read_text() == "# The Dagster instance.\nstorage: gone.module\n"
    assert put_instance_settings(settings, home)
    (home / "dagster.yaml").write_text("# The Dagster instance.\nmine: true\n")
    assert not replace_settings(settings, home)
