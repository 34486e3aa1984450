"""The report of `carboy explain --report`: packages, their licences, and the steps, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from carboy.dev.explain import places
from carboy.dev.explain.explanation import Explanation
from carboy.dev.explain.places import version_of
from carboy.dev.explain.steps import Step
from carboy.dev.explain.terminal import duration
from carboy.dev.licences import licence_of, parts_of, terms_of

NO_PACKAGE = {places.KERNEL, places.C_CODE, places.APPLICATION}
# What Markdown may read as markup, which excludes underscores inside a word.
SPECIAL = re.compile(r"[\\`*\[\]<>|&~]|(?<![^\W_])_+|_+(?![^\W_])")


def make(found: Explanation) -> str:
    """The report as Markdown (CommonMark with tables)."""
    lines = [
        f"# How {_code(found.request)} is answered",
        "",
        f"Made by `carboy explain` from one real request to {_code(found.app)}. The response was"
        f" {_text(found.status)}, {found.size:,} bytes, on Python {version_of(places.PYTHON)}.",
        "All times are of this one request, without the time that recording took.",
        "",
        "## Packages",
        "",
        *_packages(found),
        "",
        "## Licences",
        "",
        "A short summary in our own words. Only the text of each licence is binding.",
        "",
        *_licences(found),
        "",
        "## Steps, from the TCP connection to the response",
        "",
    ]
    for step in found.steps:
        lines += _step(step)
    if found.rule:
        text = "\n".join(found.rule)
        fence = _fence(text, 3)
        lines += ["", "## How the rule was found", "", f"{fence}text", text, fence]
    return "\n".join(lines) + "\n"


def packages(found: Explanation) -> list[str]:
    """The names of all packages that ran, Carboy first."""
    ran = {node.place.package for node in found.nodes()} - NO_PACKAGE
    return sorted(ran, key=lambda name: (name != "carboy", name))


def _packages(found: Explanation) -> list[str]:
    rows = []
    for name in packages(found):
        home = places.repository(name)
        licence = licence_of(name)
        note = " (recognised by its text)" if licence.by_text else ""
        link = f"<{home}>" if home else "unknown"
        version = version_of(name) or "unknown"
        rows.append((_text(name), _text(version), link, _text(licence.expression) + note))
    return _table(("package", "version", "repository", "licence (SPDX)"), rows)


def _licences(found: Explanation) -> list[str]:
    expressions = {licence_of(name).expression for name in packages(found)}
    rows = []
    for licence in sorted({part for each in expressions for part in parts_of(each)}):
        terms = terms_of(licence)
        rows.append((_text(licence), terms.allows, terms.requires, terms.forbids))
    return _table(("licence", "allows", "requires", "forbids"), rows)


def _step(step: Step) -> list[str]:
    node = step.node
    times = f", {step.times} times" if step.times > 1 else ""
    number = f"{step.number}. "
    indent = " " * len(number)  # less, and the lines below are not part of the step
    lines = [f"{number}**{_text(step.title)}**{times}: {_code(node.name)}, {duration(step.time)}."]
    given = [f"{name} = {value}" for name, value in node.args if name not in ("self", "cls")]
    if given:
        lines.append(f"{indent}- in: {_code(', '.join(given))}")
    if node.raised:
        lines.append(f"{indent}- out: an exception")
    elif node.result not in ("", "None"):
        lines.append(f"{indent}- out: {_code(node.result)}")
    lines.append(f"{indent}- {_where(step)}")
    return lines


def _where(step: Step) -> str:
    place = step.node.place
    if not place.file:
        return f"a system call, made by {_code(step.where)}"
    if url := places.link(place):
        return f"[{_text(place.lines)}]({quote(url, safe=':/#@+')})"
    if place.package == places.APPLICATION:
        return f"{_code(place.lines)}, the application itself"
    return f"{_text(place.package)} {version_of(place.package)}, {_code(place.lines)}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def _text(text: str) -> str:
    """Text that has no markup."""
    return SPECIAL.sub(lambda found: "".join(f"\\{c}" for c in found[0]), " ".join(text.split()))


def _code(text: str) -> str:
    """A code span, whatever backticks are in the text (CommonMark, section 6.1)."""
    plain = " ".join(text.splitlines()) or " "
    fence = _fence(plain, 1)
    space = " " if plain[0] == "`" or plain[-1] == "`" else ""
    return f"{fence}{space}{plain}{space}{fence}"


def _fence(text: str, least: int) -> str:
    """Backticks, one more than the text has in a row."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)
