"""Values of options that are not on the command line.

    command line  >  CARBOY_… variable  >  [tool.carboy] of pyproject.toml  >  default

click reads them in this order once it has the third as its `default_map`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from carboy.late import tomllib
from carboy.server.settings import suggestion

PREFIX = "CARBOY_"
# Keys of the meta data of click's context
PROJECT = "carboy.project"  # the Project
DOTENV = "carboy.dotenv"  # the dotenv files that were read
ENVIRON = "carboy.environ"  # the variables before that

DOTENV_FILES = (".env", ".carboyenv", ".flaskenv")  # the first file that has a variable wins
HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
SKIP = ("CARBOY_SKIP_DOTENV", "FLASK_SKIP_DOTENV")


def upward(folder: Path, name: str) -> Path | None:
    """The nearest file with this name, in a folder or above it."""
    for place in (folder, *folder.parents):
        if (place / name).is_file():
            return place / name
    return None


@dataclass(frozen=True, slots=True)
class Project:
    """[tool.carboy] of a pyproject.toml: the values by option name, and what is wrong with it."""

    path: Path | None = None
    values: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    text: str = ""

    def line_of(self, name: str) -> int | None:
        """The number of the line that sets an option; None if it is not found."""
        return line_of_key(self.text, name)


def read_project(folder: Path, known: Iterable[str]) -> Project:
    """[tool.carboy] of the nearest pyproject.toml.

    An unknown key is a problem, so that a misspelt limit is not silently ignored.
    """
    path = upward(folder, "pyproject.toml")
    if path is None:
        return Project()
    try:
        text = path.read_text("utf-8")
        table = tomllib.loads(text).get("tool", {}).get("carboy", {})
    except (OSError, ValueError, AttributeError) as problem:
        return Project(path, problems=(f"{path} cannot be read: {problem}. Correct the file.",))
    if not isinstance(table, Mapping):
        wrong = f"tool.carboy in {path} is not a table. Write [tool.carboy]."
        return Project(path, problems=(wrong,), text=text)
    names = sorted(known)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in table.items():
        name = key.replace("-", "_")
        if name in names:
            values[name] = _option_value(value)
            continue
        problems.append(
            f"There is no option for the key {key!r} of [tool.carboy] in {path}."
            + suggestion(key, names if "_" in key else [each.replace("_", "-") for each in names])
        )
    return Project(path, values, tuple(problems), text)


def line_of_key(text: str, name: str) -> int | None:
    """The number of the line in a pyproject.toml that sets a key of [tool.carboy].

    It is found in the table [tool.carboy], in its own table ([tool.carboy.static]), and as a dotted
    key of [tool]; None elsewhere.
    """
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.match(line):
            table = _dotted(header[1])
            if table == f"tool.carboy.{name}":
                return number
        elif found := KEY.match(line):
            key = _dotted(found[1]) if not table else f"{table}.{_dotted(found[1])}"
            if key == f"tool.carboy.{name}" or key.startswith(f"tool.carboy.{name}."):
                return number
    return None


def _dotted(written: str) -> str:
    """A dotted key without quotes and spaces, with the underscores of option names."""
    parts = (part.strip().strip("\"'") for part in written.split("."))
    return ".".join(part.replace("-", "_") for part in parts)


def _option_value(value: Any) -> Any:
    """A value as click takes it; a table is a list of KEY=VALUE."""
    if isinstance(value, Mapping):
        return [f"{key}={each}" for key, each in value.items()]
    return list(map(str, value)) if isinstance(value, list) else value


def load_env(env_file: str | None, folder: Path, warn: bool = True) -> list[Path]:
    """Set variables from dotenv files, if python-dotenv is installed. Returns the files read.

    Variables that are already set stay unchanged. `env_file` has precedence over the files
    that are found: the nearest of each name, in `folder` or above it.
    """
    if env_file is None and any(os.environ.get(name) for name in SKIP):
        return []
    found = [Path(env_file)] if env_file is not None else []
    found += (path for name in DOTENV_FILES if (path := upward(folder, name)))
    if not found:
        return []
    try:
        import dotenv
    except ImportError:
        if env_file is not None:
            raise click.ClickException(
                "--env-file requires python-dotenv. Install it with pip install 'carboy[dotenv]'."
            ) from None
        if warn:
            click.echo(
                f"{found[0].name} is not read, because python-dotenv is not installed. Install it"
                " with pip install 'carboy[dotenv]'.",
                err=True,
            )
        return []
    for path in found:
        dotenv.load_dotenv(path, encoding="utf-8")
    return found


@dataclass(frozen=True, slots=True)
class Environment:
    """`before` are the variables of the user's shell, `ours` those that `carboy dev` sets."""

    before: dict[str, str]
    ours: dict[str, str]
    env_file: str | None
    folder: Path = field(default_factory=Path.cwd)

    def restore(self) -> None:
        """Set the variables as at the start; those that a dotenv file no longer has are removed."""
        wanted = self.before | {"PWD": os.environ.get("PWD", self.before.get("PWD", ""))}
        for name in os.environ.keys() - wanted.keys():
            del os.environ[name]
        for name, value in wanted.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
        load_env(self.env_file, self.folder, warn=False)
        os.environ.update(self.ours)
