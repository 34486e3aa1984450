"""The names that some eighty extensions and applications import exist as in Flask 3.1."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LOOK = """
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
import carboy.compat
carboy.compat.install()

def there(name):
    first, *rest = name.split(".")
    value, path = importlib.import_module(first), first
    for part in rest:
        path += "." + part
        try:
            value = getattr(value, part)
        except AttributeError:
            try:
                value = importlib.import_module(path)
            except ImportError:
                return False
    return True

print(json.dumps({name: there(name) for name in json.load(sys.stdin)}))
"""


def names(file: str) -> list[str]:
    return (HERE / file).read_text().split()


@pytest.fixture(scope="module")
def there() -> dict[str, bool]:
    everything = names("reached.txt") + names("absent.txt")
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        input=json.dumps(everything),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: dict[str, bool] = json.loads(done.stdout)
    return found


def test_every_name_that_extensions_import_exists(there: dict[str, bool]) -> None:
    assert [name for name in names("reached.txt") if not there[name]] == []


def test_names_that_flask_has_removed_do_not_exist(there: dict[str, bool]) -> None:
    assert [name for name in names("absent.txt") if there[name]] == []
