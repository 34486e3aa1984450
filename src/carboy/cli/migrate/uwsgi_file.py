"""A configuration file of uWSGI: INI, YAML, XML or JSON, with its placeholders."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from carboy.cli.migrate.given import Given
from carboy.cli.migrate.python_file import WrongFile

PLACEHOLDER = re.compile(r"%\(([^)]+)\)")
VARIABLE = re.compile(r"\$\((\w+)\)")
LETTER = re.compile(r"%([A-Za-z])")
SECTION = re.compile(r"\[([^\]]+)\]")
FORMS = (".ini", ".yaml", ".yml", ".xml", ".json")
Pair = tuple[int, str, str]  # line (0: not known), key, value


def read_uwsgi(path: Path, environ: Mapping[str, str] = os.environ) -> list[Given]:
    """The settings of a file. Raises WrongFile."""
    try:
        text = path.read_text("utf-8")
        pairs = list(READERS[path.suffix.lower()](text))
    except (OSError, ValueError, RecursionError, ElementTree.ParseError) as problem:
        raise WrongFile(f"{path} cannot be read: {problem}. Correct the file.") from None
    if not pairs:
        raise WrongFile(f"{path} has no settings of uWSGI. They are in the section [uwsgi].")
    return list(_given(pairs, path, environ))


def _given(pairs: list[Pair], path: Path, environ: Mapping[str, str]) -> Iterator[Given]:
    known: dict[str, str] = {}
    for line, key, raw in pairs:
        variables = tuple(VARIABLE.findall(raw))
        value = VARIABLE.sub(lambda found: environ.get(found[1], found[0]), raw)
        value = PLACEHOLDER.sub(lambda found: known.get(found[1].strip(), found[0]), value)
        value = LETTER.sub(lambda found: _letter(found[1], path) or found[0], value)
        known[key] = value
        name = key.replace("_", "-")
        if name in ("set-placeholder", "set-ph", "set"):
            own, _, rest = value.partition("=")
            known[own] = rest
        place = f"{path.name}:{line}" if line else path.name
        yield Given(name, value, f"{key} = {raw}", place, variables)


def _letter(letter: str, path: Path) -> str | None:
    folder = path.absolute().parent
    return {"d": f"{folder}/", "p": str(path.absolute()), "s": path.name, "n": path.stem,
            "c": folder.name}.get(letter)  # fmt: skip


def _ini(text: str) -> Iterator[Pair]:
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line[0] in ";#":
            continue
        if found := SECTION.fullmatch(line):
            section = found[1].strip()
        elif section == "uwsgi":
            key, equals, value = line.partition("=")
            yield number, key.strip(), value.strip() if equals else "true"


def _yaml(text: str) -> Iterator[Pair]:
    """The form that uWSGI reads without a library: one level of keys below `uwsgi:`."""
    inside, key = False, ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.split(" #")[0].strip()
        if not stripped or stripped.startswith("#") or stripped == "---":
            continue
        if not line[0].isspace():
            inside = stripped == "uwsgi:"
        elif inside and stripped.startswith("- "):
            yield number, key, _unquoted(stripped[2:])
        elif inside:
            key, _, value = stripped.partition(":")
            key = key.strip()
            if value.strip():
                yield number, key, _unquoted(value)


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _xml(text: str) -> Iterator[Pair]:
    root = ElementTree.fromstring(text)
    for each in root if root.tag == "uwsgi" else root.iterfind("uwsgi/*"):
        yield 0, each.tag, (each.text or "").strip() or "true"


def _json(text: str) -> Iterator[Pair]:
    table = json.loads(text)
    found = table.get("uwsgi") if isinstance(table, dict) else None
    for key, value in (found if isinstance(found, dict) else {}).items():
        for each in value if isinstance(value, list) else [value]:
            yield 0, key, str(each).lower() if isinstance(each, bool) else str(each)


READERS = {".ini": _ini, ".yaml": _yaml, ".yml": _yaml, ".xml": _xml, ".json": _json}
