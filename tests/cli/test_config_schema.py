"""The JSON schema of [tool.carboy] accepts what `carboy run` accepts."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from carboy.cli.main import make_group
from carboy.cli.options import listening, names_of, tuning


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    result = CliRunner().invoke(make_group(), ["run", "--config-schema"])
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.output)
    jsonschema.Draft7Validator.check_schema(found)
    return found


def test_every_option_is_a_property(schema: dict[str, Any]) -> None:
    names = names_of([*listening(), *tuning()])
    assert {name.replace("_", "-") for name in names} - schema["properties"].keys() == set()
    assert "json" not in schema["properties"]
    for key, each in schema["properties"].items():
        assert "description" in each or "$ref" in each, key


GOOD = [
    'app = "shop:app"\nworkers = "auto"\nlimit-body = "10m"\nbind = [":80", "unix:/x"]',
    'bind = ":80"\nlimit_body = 4096\nsocket-mode = "660"\nsendfile = false\nport = 0',
    'static = { "/assets" = "." }\nkeepalive-timeout = 5.5\nloop = "asyncio"\nbacklog = 1',
    'mount = { "/api" = "api:app" }\nspool-limit = "1 MiB"\nthreads = 4\numask = "027"',
]
BAD = [
    "workrs = 2",
    "workers = 0",
    'workers = "many"',
    'limit-body = "10x"',
    "port = 65536",
    'loop = "trio"',
    'sendfile = "maybe"',
    'socket-mode = "999"',
    "keepalive-timeout = -1",
]


@pytest.mark.parametrize(
    ("text", "good"), [(each, True) for each in GOOD] + [(each, False) for each in BAD]
)
def test_the_schema_and_the_command_agree(
    schema: dict[str, Any], text: str, good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jsonschema.Draft7Validator(schema).is_valid(tomllib.loads(text)) is good
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(f"[tool.carboy]\n{text}\n")
    result = CliRunner().invoke(make_group(), ["run", "--print-config"])
    assert (result.exit_code == 0) is good, result.output
