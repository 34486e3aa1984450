"""`carboy run --print-config`: every value with its origin; secrets are not shown."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from carboy.cli.config import line_of_key
from carboy.cli.main import make_group
from carboy.cli.options import listening, names_of, tuning


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("CARBOY_", "FLASK_")) or name in ("PORT", "HOST", "WEB_CONCURRENCY"):
            monkeypatch.delenv(name)
    return tmp_path


def printed(*args: str) -> str:
    result = CliRunner().invoke(make_group(), ["run", "--print-config", *args])
    assert result.exit_code == 0, result.output
    return result.output


def values(*args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed("--json", *args))
    return found


def test_every_option_has_a_value_a_unit_and_a_meaning(folder: Path) -> None:
    found = values()
    keys = {name.replace("_", "-") for name in names_of([*listening(), *tuning()])}
    assert keys - found.keys() == set()
    for key, each in found.items():
        assert each["unit"] and each["meaning"], key
        assert each["origin"]["source"] == "default", key
    assert (found["port"]["value"], found["port"]["unit"]) == (8000, "port")
    assert (found["keepalive-timeout"]["value"], found["keepalive-timeout"]["unit"]) == (
        75.0,
        "seconds",
    )


def test_the_origin_is_the_option_the_variable_or_the_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "x"\n\n[tool.carboy]\napp = "shop"\nworkers = 3\nlimit-body = "1m"\n'
    )
    (folder / ".env").write_text("A=1\nCARBOY_BACKLOG=7\n")
    monkeypatch.setenv("CARBOY_THREADS", "5")
    try:
        found = values("--limit-body", "2m")
    finally:
        os.environ.pop("CARBOY_BACKLOG", None)
        os.environ.pop("A", None)
    origins = {key: each["origin"] for key, each in found.items()}
    assert (found["workers"]["value"], origins["workers"]["file"], origins["workers"]["line"]) == (
        3,
        "pyproject.toml",
        6,
    )
    assert (found["app"]["value"], origins["app"]["line"]) == ("shop", 5)
    assert (found["threads"]["value"], origins["threads"]["name"]) == (5, "CARBOY_THREADS")
    assert (found["limit-body"]["value"], origins["limit-body"]["name"]) == (
        2 * 1024**2,
        "--limit-body",
    )
    assert (
        origins["backlog"]["source"],
        origins["backlog"]["file"],
        origins["backlog"]["line"],
    ) == (
        "variable",
        ".env",
        2,
    )


def test_the_application_of_a_variable_or_an_option_has_precedence_over_the_project(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pyproject.toml").write_text('[tool.carboy]\napp = "one"\n')
    monkeypatch.setenv("CARBOY_APP", "two")
    assert (values()["app"]["value"], values()["app"]["origin"]["name"]) == ("two", "CARBOY_APP")
    result = CliRunner().invoke(make_group(), ["--app", "three", "run", "--print-config"])
    assert 'app = "three"' in result.output


def test_the_variables_of_a_platform_are_origins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "81")
    found = values()
    assert [(found[key]["value"], found[key]["origin"]["name"]) for key in ("port", "host")] == [
        (81, "PORT"),
        ("0.0.0.0", "PORT"),
    ]


def test_the_text_is_a_table_of_what_is_set(folder: Path) -> None:
    text = printed("shop:app", "-w", "3", "-b", "unix:/x", "--umask", "027", "--no-sendfile")
    assert tomllib.loads(text)["tool"]["carboy"] == {
        "app": "shop:app",
        "workers": 3,
        "bind": ["unix:/x"],
        "umask": "27",
        "sendfile": False,
    }
    assert "\n# keepalive-timeout = 75.0      # seconds; default\n" in text
    assert "\nworkers = 3                     # processes; option --workers\n" in text


def test_the_text_can_be_used_as_the_configuration(folder: Path) -> None:
    args = ("-w", "3", "-b", "unix:/x", "-b", ":80", "--mount", "/a=b:c", "--hold-slow", "skip")
    text = printed(*args)
    (folder / "pyproject.toml").write_text(text)
    again = printed()
    assert tomllib.loads(again) == tomllib.loads(text)


def test_secrets_are_not_shown(folder: Path) -> None:
    text = printed("--channels", "redis://user:hush@localhost/0?password=hush")
    assert "hush" not in text
    assert "redis://user:***@localhost/0?password=***" in text
    assert "channels" not in tomllib.loads(text)["tool"]["carboy"]
    assert "hush" not in printed("--json", "--channels", "redis://:hush@localhost")


def test_flags_without_a_value_of_their_own_are_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "0")
    assert values("--debug")["debug"]["value"] is True
    assert values()["flask"]["value"] is False


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[tool.carboy]\nworkers = 1", 2),
        ('[tool]\n# carboy.workers = 2\n"carboy"."workers" = 1', 3),
        ("tool.carboy.workers = 1", 1),
        ("[tool.carboy.static]\n'/a' = 'b'\n[tool.carboy]\nbind = [\n ':80',\n]\nworkers=1", 7),
        ("[tool.other]\nworkers = 1", None),
        ("tool = {carboy = {workers = 1}}", None),
    ],
)
def test_the_line_of_a_key_is_found(text: str, line: int | None) -> None:
    tomllib.loads(text)
    assert line_of_key(text, "workers") == line


def test_a_table_of_its_own_is_found() -> None:
    assert line_of_key("[tool.carboy.static]\n'/a' = 'b'", "static") == 1
    assert line_of_key("[tool.carboy]\nlimit-body = 1", "limit_body") == 2


def test_a_setting_that_cannot_work_is_a_usage_error(folder: Path) -> None:
    args = ["run", "--print-config", "--static", "/a=missing"]
    result = CliRunner().invoke(make_group(), args)
    assert result.exit_code == 2
    assert "missing is not a folder" in result.output


def test_two_actions_exclude_each_other(folder: Path) -> None:
    args = ["run", "--print-config", "--check-config"]
    result = CliRunner().invoke(make_group(), args)
    assert result.exit_code == 2
    assert "exclude each other" in result.output
