"""The output of `carboy migrate`: the command, the table, and a finding for each setting."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from carboy.cli.configuration.printed import toml_value
from carboy.cli.migrate.migration import Finding, Migration
from carboy.cli.migrate.rules import Verdict

TITLES = {
    Verdict.EQUAL: "The same",
    Verdict.SIMILAR: "Similar, but not the same",
    Verdict.NONE: "No equivalent",
    Verdict.UNNEEDED: "Not needed",
}
FOR_SHELL = re.compile(r"""[\w@%+=:,./${}*?-]*""")


@dataclass(frozen=True, slots=True)
class Change:
    """A line of a file, which may continue on others, and what it becomes; "" is left out."""

    line: int
    old: str
    new: str


def joined(words: Iterable[str]) -> str:
    """A command line for a shell; a word with a $ is expanded by it."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if word in ("&&", "||", ";", "|", "&"):
        return word
    if "$" in word:
        text = word.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`")
        return f'"{text}"'
    return shlex.quote(word)


def command_words(migration: Migration, with_options: bool = True) -> list[str]:
    """The words of the command."""
    words = [f"{name}={value}" for name, value in migration.variables.items()]
    words += ["carboy", *(["--env-file", migration.env_file] if migration.env_file else []), "run"]
    words += [migration.app] if migration.app else []
    return words + (list(option_words(migration)) if with_options else [])


def option_words(migration: Migration) -> Iterator[str]:
    """The options, in the order of the help."""
    for name, param in migration.params.items():
        if name not in migration.options or not isinstance(param, click.Option):
            continue
        value = migration.options[name]
        spelling = max(param.opts, key=len)
        if isinstance(value, bool):
            yield spelling if value else max(param.secondary_opts, key=len)
            continue
        for each in value if isinstance(value, list) else [value]:
            yield from (
                (spelling, str(each)) if not str(each).startswith("-") else (f"{spelling}={each}",)
            )


def table(migration: Migration) -> dict[str, Any]:
    """The keys of [tool.carboy]; values that a shell computes are left out."""
    found: dict[str, Any] = {"app": migration.app} if migration.app else {}
    for name in migration.params:
        value = migration.options.get(name)
        if value is not None and "$" not in str(value):
            key = name.replace("_", "-")
            found[key] = value[0] if isinstance(value, list) and len(value) == 1 else value
    return found


def as_toml(migration: Migration) -> str:
    """The table [tool.carboy]."""
    lines = [f"{key} = {toml_value(value)}" for key, value in table(migration).items()]
    return "\n".join(["[tool.carboy]", *lines])


def as_text(migration: Migration) -> str:
    """The whole report of one migration."""
    parts = [
        f"# {migration.server.name} to carboy. Check the result: {CHECK}",
        f"{_command(migration)}\n\n{as_toml(migration)}",
    ]
    if not migration.app:
        parts.append("# The application is not named there. Give its name: carboy run MODULE:NAME.")
    parts += list(findings_as_text(migration))
    return "\n\n".join(parts) + "\n"


CHECK = "carboy run --check-config"


def _command(migration: Migration) -> str:
    """The command; its variables are assignments of the shell."""
    count = len(migration.variables)
    words = command_words(migration)
    set_first = [
        f"{word.partition('=')[0]}={_quoted(word.partition('=')[2])}" for word in words[:count]
    ]
    return " ".join([*set_first, joined(words[count:])])


def findings_as_text(migration: Migration) -> Iterator[str]:
    """A paragraph for each verdict, and one for defaults that differ."""
    for verdict, title in TITLES.items():
        found = [each for each in migration.findings if each.verdict is verdict]
        if found:
            yield f"{title}:\n" + "\n".join(_finding(each) for each in found)
    lines = "\n".join(f"  {each}" for each in migration.server.defaults)
    yield f"Other defaults than those of {migration.server.name}:\n{lines}"


def _finding(each: Finding) -> str:
    option = f"--{each.option.replace('_', '-')}" if each.option else ""
    option = {"--app": "APP", "--env": "variables"}.get(option, option)
    arrow = f" → {option}" if option and each.verdict is not Verdict.UNNEEDED else ""
    note = f"\n      {each.note}" if each.note else ""
    return f"  {each.place}: {each.setting}{arrow}{note}"


def as_object(migration: Migration) -> dict[str, Any]:
    """The same, for --json."""
    return {
        "server": migration.server.name,
        "app": migration.app or None,
        "command": _command(migration),
        "table": table(migration),
        "variables": migration.variables,
        "findings": [
            {
                "place": each.place,
                "setting": each.setting,
                "verdict": each.verdict.value,
                "option": each.option.replace("_", "-") or None,
                "note": each.note,
            }
            for each in migration.findings
        ],
        "defaults": list(migration.server.defaults),
    }


def as_json(migrations: list[Migration], changes: Iterable[Change] = ()) -> str:
    """All migrations and changed lines as one JSON object."""
    found = {
        "migrations": [as_object(each) for each in migrations],
        "changes": [
            {"line": each.line, "old": each.old, "new": each.new or None} for each in changes
        ],
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def changes_as_text(changes: Iterable[Change]) -> str:
    """The changed lines, as in a diff."""
    lines: list[str] = []
    for each in changes:
        lines.append(f"@@ line {each.line} @@")
        lines += [f"-{line}" for line in each.old.splitlines()]
        lines += [f"+{line}" for line in each.new.splitlines()]
    return "\n".join(lines)
