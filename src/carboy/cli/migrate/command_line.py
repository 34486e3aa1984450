"""A command line of another server: which server it is, and its settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

from carboy.cli.migrate.given import Given
from carboy.cli.migrate.python_file import WrongFile
from carboy.cli.migrate.rules import Table, Takes
from carboy.cli.migrate.servers import SERVERS, Server

ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
ENDS = ("&&", "||", ";", "|", "&")
# Words before a server that only start it: they are left out, because carboy needs none of them.
NEEDLESS = ("exec",)


@dataclass(frozen=True, slots=True)
class Command:
    """A command line that starts a server, in parts.

    `variables` are set before it, `before` are words that start it (such as `poetry run`), `after`
    what follows it in a shell.
    """

    server: Server
    words: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def split(text: str) -> list[str]:
    """The words of a command line. Raises WrongFile."""
    try:
        return shlex.split(text, comments=False)
    except ValueError as problem:
        raise WrongFile(f"{text!r} is not a command line: {problem}. Close its quotes.") from None


def find_command(words: list[str]) -> Command | None:
    """The server that a command line starts; None if it starts none that is known."""
    for index, word in enumerate(words):
        name = PurePath(word).name
        if name not in SERVERS:
            continue
        if index and words[index - 1] in ("install", "-U", "--upgrade", "with", "-r", "-c"):
            continue
        before = words[:index]
        if len(before) > 1 and before[-1] == "-m":  # python -m gunicorn
            before = before[:-2]
        end = next((n for n in range(index, len(words)) if words[n] in ENDS), len(words))
        variables: dict[str, str] = {}
        while before and ASSIGNMENT.fullmatch(before[0]):
            key, _, value = before.pop(0).partition("=")
            variables[key] = value
        if before[:1] == ["env"]:
            del before[0]
            while before and ASSIGNMENT.fullmatch(before[0]):
                key, _, value = before.pop(0).partition("=")
                variables[key] = value
        kept = tuple(each for each in before if each not in NEEDLESS)
        return Command(
            SERVERS[name], tuple(words[index + 1 : end]), variables, kept, tuple(words[end:])
        )
    return None


def read_words(words: tuple[str, ...], server: Server, place: str) -> Iterator[Given]:
    """The settings in the words after the name of a server.

    An option that the server does not have is given under its own spelling.
    """
    table = server.table
    by_spelling = {
        spelling: name for name, setting in table.items() for spelling in setting.spellings
    }
    if server.long_names:
        by_spelling |= {f"--{name}": name for name in table}
    rest = list(words)
    last = 1  # words that an unknown option leaves, because the last one may be the application
    while rest:
        word = rest.pop(0)
        if word == "--":
            for each in rest:
                yield Given(server.positional, each, each, place)
            return
        if not word.startswith("-") or word == "-":
            last = 0
            yield Given(server.positional, word, word, place)
        elif word.startswith("--"):
            yield _long(word, rest, by_spelling, server, place, last)
        else:
            yield from _short(word, rest, by_spelling, table, place)


def _long(
    word: str, rest: list[str], by_spelling: dict[str, str], server: Server, place: str, last: int
) -> Given:
    spelling, equals, value = word.partition("=")
    if spelling in server.negatives:
        return Given(server.negatives[spelling], False, word, place)
    name = _full_name(spelling, by_spelling, server)
    if name is None:
        if not equals and len(rest) > last and not rest[0].startswith("-"):
            value = rest.pop(0)
            word = f"{word} {value}"
        return Given(spelling, value, word, place)
    if server.table[name].takes is Takes.FLAG and not (server.long_names and equals):
        return Given(name, not spelling.startswith("--no-"), word, place)
    if not equals:
        if not rest:
            raise WrongFile(f"{spelling} needs a value. Complete the command line.")
        value = rest.pop(0)
    return Given(name, value, f"{spelling} {value}", place)


def _full_name(spelling: str, by_spelling: dict[str, str], server: Server) -> str | None:
    """The setting of a spelling, which may be shortened if the server allows that."""
    if server.long_names:
        spelling = spelling.replace("_", "-")
    if spelling in by_spelling:
        return by_spelling[spelling]
    if server.shortened:
        near = {name for each, name in by_spelling.items() if each.startswith(spelling)}
        if len(near) == 1:
            return near.pop()
    return None


def _short(
    word: str, rest: list[str], by_spelling: dict[str, str], table: Table, place: str
) -> Iterator[Given]:
    letters = word[1:]
    while letters:
        spelling, letters = f"-{letters[0]}", letters[1:]
        name = by_spelling.get(spelling)
        if name is None:
            yield Given(spelling, letters, word, place)
            return
        if table[name].takes is Takes.FLAG:
            yield Given(name, True, spelling, place)
            continue
        if not letters and not rest:
            raise WrongFile(f"{spelling} needs a value. Complete the command line.")
        value = letters.removeprefix("=") if letters else rest.pop(0)
        yield Given(name, value, f"{spelling} {value}", place)
        return
