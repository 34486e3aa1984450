"""Files with lines that start a server: Procfile, Dockerfile, units of systemd."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from carboy.cli.migrate.command_line import Command, find_command, split
from carboy.cli.migrate.migration import Migration
from carboy.cli.migrate.output import Change, command_words, joined
from carboy.cli.migrate.python_file import WrongFile
from carboy.cli.migrate.servers import SERVERS
from carboy.cli.migrate.sources import Reader, is_own

INSTRUCTION = re.compile(r"(CMD|ENTRYPOINT|ENV|RUN)\s+(.*)", re.DOTALL | re.IGNORECASE)
PACKAGE = re.compile(r"""(?<![\w/.-])(["']?)(?:gunicorn|uvicorn|hypercorn|daphne|granian|uwsgi"""
                     r"""|pyuwsgi)(?:\[[\w,-]+\])?(?:[=<>~!]=[\w.*]+)?\1(?![\w/.-])""")  # fmt: skip
PROCESS = re.compile(r"([\w-]+):\s*(.+)")
UNIT_LINE = re.compile(r"\s*(ExecStart\w*)\s*=\s*[-@:+!]*(.+)", re.DOTALL)
FROM = re.compile(r"FROM\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Changed:
    """The changed lines of a file, and the migration of each command."""

    changes: list[Change]
    migrations: list[Migration]


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, each with those that it continues on."""
    begins, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if not parts:
            begins = number
        elif line.lstrip().startswith("#"):
            continue  # a comment between
        parts.append(line)
        if not line.rstrip().endswith("\\"):
            yield begins, "\n".join(parts)
            parts = []
    if parts:
        yield begins, "\n".join(parts)


def unfolded(text: str) -> str:
    """A line without the breaks within it."""
    return re.sub(r"\\\s*\n\s*", " ", text).strip()


def procfile(path: Path, text: str, reader: Reader) -> Changed:
    """The processes that start a server."""
    found = Changed([], [])
    for number, line in enumerate(text.splitlines(), 1):
        process = PROCESS.fullmatch(line.strip())
        if process is None or line.lstrip().startswith("#"):
            continue
        if command := find_command(split(process[2])):
            new = _line(command, reader, f"{path.name}:{number}", found)
            found.changes.append(Change(number, line, f"{process[1]}: {new}"))
    return found


def unit(path: Path, text: str, reader: Reader) -> Changed:
    """The lines of a unit that start a server."""
    found = Changed([], [])
    for number, line in logical_lines(text):
        start = UNIT_LINE.fullmatch(unfolded(line))
        if start and (command := find_command(split(start[2]))):
            if not command.before:
                command = replace(command, before=("__bin__",))
            new = _line(command, reader, f"{path.name}:{number}", found)
            folder = _folder_of_program(start[2])
            new = new.replace("__bin__ ", "").replace("carboy", f"{folder}carboy", 1)
            found.changes.append(Change(number, line, f"{start[1]}={new}"))
    return found


def _folder_of_program(text: str) -> str:
    word = next((each for each in split(text) if Path(each).name in SERVERS), "")
    return word[: len(word) - len(Path(word).name)]


def _line(command: Command, reader: Reader, place: str, found: Changed) -> str:
    migration = reader.of_command(command, place)
    found.migrations.append(migration)
    words = [*command.before, *command_words(migration)]
    after = f" {joined(command.after)}" if command.after else ""
    return joined(words) + after


# --- Dockerfile


def dockerfile(path: Path, text: str, reader: Reader) -> Changed:
    """CMD and ENTRYPOINT of the last stage, variables of the server, and installed packages."""
    found = Changed([], [])
    variables: dict[str, str] = {}
    started: dict[str, tuple[int, str, list[str], bool]] = {}
    for number, line in logical_lines(text):
        if FROM.match(line.lstrip()):
            started, variables = {}, {}
        instruction = INSTRUCTION.fullmatch(unfolded(line))
        if instruction is None:
            continue
        name, rest = instruction[1].upper(), instruction[2]
        if name == "ENV":
            variables |= _variables(rest)
            _own_variables(number, line, rest, found)
        elif name == "RUN":
            _packages(number, line, found)
        else:
            words, in_shell = _words(rest)
            started[name] = number, line, words, in_shell
    _start(path, started, variables, reader, found)
    found.changes.sort(key=lambda change: change.line)
    return found


def _words(text: str) -> tuple[list[str], bool]:
    """The words of CMD or ENTRYPOINT, and whether a shell runs them."""
    if text.startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, list) and all(isinstance(each, str) for each in found):
            if found[:1] and Path(found[0]).name in ("sh", "bash") and found[1:2] == ["-c"]:
                return split(found[2]) if len(found) > 2 else [], True
            return found, False
    return split(text), True


def _variables(text: str) -> dict[str, str]:
    words = split(text)
    if words and "=" not in words[0]:  # the old form: ENV NAME value
        return {words[0]: " ".join(words[1:])}
    return dict(word.partition("=")[::2] for word in words)


def _own_variables(number: int, line: str, text: str, found: Changed) -> None:
    """Leave out variables that only another server reads."""
    variables = _variables(text)
    kept = {
        name: value
        for name, value in variables.items()
        if not any(is_own(server, name) for server in SERVERS.values())
    }
    if kept != variables:
        new = " ".join(f"{name}={shlex.quote(value)}" for name, value in kept.items())
        found.changes.append(Change(number, line, f"ENV {new}" if kept else ""))


def _packages(number: int, line: str, found: Changed) -> None:
    if "install" not in line or not PACKAGE.search(line):
        return
    seen: list[str] = []

    def carboy(match: re.Match[str]) -> str:
        seen.append(match[0])
        return "carboy" if len(seen) == 1 else ""

    new = PACKAGE.sub(carboy, line)
    new = re.sub(r"(?<=\S) {2,}", " ", new)
    found.changes.append(Change(number, line, re.sub(r" +$", "", new, flags=re.MULTILINE)))


def _start(
    path: Path,
    started: dict[str, tuple[int, str, list[str], bool]],
    variables: dict[str, str],
    reader: Reader,
    found: Changed,
) -> None:
    entry, cmd = started.get("ENTRYPOINT"), started.get("CMD")
    both = [*(entry[2] if entry else ()), *(cmd[2] if cmd else ())]
    command = find_command(both)
    last = cmd or entry
    if command is None or last is None:
        return
    own = {name: value for name, value in variables.items() if is_own(command.server, name)}
    command = replace(command, variables={**own, **command.variables})
    migration = reader.of_command(command, f"{path.name}:{last[0]}")
    found.migrations.append(migration)
    words = [*command.before, *command_words(migration)]
    in_shell = (
        any("$" in word for word in words) or bool(command.after) or bool(migration.variables)
    )
    begins_in_entry = entry is not None and find_command(entry[2]) is not None
    if entry is not None and cmd is not None and not in_shell and begins_in_entry:
        at = words.index("run") + 1
        found.changes.append(Change(entry[0], entry[1], f"ENTRYPOINT {json.dumps(words[:at])}"))
        found.changes.append(Change(cmd[0], cmd[1], f"CMD {json.dumps(words[at:])}"))
        return
    number, line = last[:2]
    name = "CMD" if cmd else "ENTRYPOINT"
    if entry is not None and cmd is not None and not begins_in_entry:
        words = words[len(entry[2]) :]  # such as tini --
    new = joined([*words, *command.after]) if in_shell else json.dumps(words)
    found.changes.append(
        Change(number, line, f"{name} exec {new}" if in_shell else f"{name} {new}")
    )


Kind = Callable[[Path, str, Reader], Changed]


def kind_of(path: Path) -> Kind | None:
    """The function for a file, by its name."""
    name = path.name.lower()
    if name.startswith("procfile"):
        return procfile
    if name.startswith(("dockerfile", "containerfile")) or name.endswith(".dockerfile"):
        return dockerfile
    return unit if name.endswith(".service") else None


def changed(path: Path, reader: Reader) -> Changed:
    """The changes of a file. Raises WrongFile."""
    kind = kind_of(path)
    assert kind is not None
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as problem:
        raise WrongFile(f"{path} cannot be read: {problem}. Correct the file.") from None
    found = kind(path, text, reader)
    if not found.migrations:
        raise WrongFile(
            f"{path} does not start gunicorn, uvicorn, hypercorn, daphne, granian or uwsgi. Give"
            " the command line: carboy migrate 'gunicorn app:app'."
        )
    return found
