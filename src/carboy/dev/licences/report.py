"""The report of `carboy explain --report`: packages, their licences, and the steps, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata
from itertools import groupby
from urllib.parse import quote

from carboy.dev import links
from carboy.dev.explain import places
from carboy.dev.explain.explanation import Explanation
from carboy.dev.explain.places import Place, version_of
from carboy.dev.explain.steps import Step
from carboy.dev.explain.terminal import duration
from carboy.dev.licences import in_words, licence_of, parts_of, terms_of
from carboy.dev.links import Link

NO_PACKAGE = {places.KERNEL, places.C_CODE, places.APPLICATION}
PYTHON_IN_SHORT = "The Python interpreter and its standard library"
FROM_CONNECTION = "Steps, from the TCP connection to the response"
MOST_MODULES = 12  # of a package, that are named
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
        "## General information and licensing",
        "",
        "What a licence allows, requires and restricts is a short summary in our own words. Only"
        " the text of each licence is binding.",
        "",
        *[line for name in packages(found) for line in _package(name, found)],
    ]
    for phase, steps in groupby(found.steps, key=lambda step: step.phase):
        lines += [f"## {phase or FROM_CONNECTION}", ""]
        for step in steps:
            lines += _step(step)
        lines.append("")
    lines.pop()
    if found.rule:
        text = "\n".join(found.rule)
        fence = _fence(text, 3)
        lines += ["", "## How the rule was found", "", f"{fence}text", text, fence]
    return "\n".join(lines) + "\n"


def packages(found: Explanation) -> list[str]:
    """The names of all packages that ran, Carboy first."""
    ran = {node.place.package for node in found.nodes()} - NO_PACKAGE
    return sorted(ran, key=lambda name: (name != "carboy", name))


def _package(name: str, found: Explanation) -> list[str]:
    """The heading and the table of one technology."""
    version = version_of(name)
    home = links.repository_of(name)
    commit = links.commit_of(name)
    licence = licence_of(name)
    by_text = " (recognised by its text)" if licence.by_text else ""
    choice = in_words(licence.expression)
    rows = [
        ("repository", _linked(home)),
        ("version", _text(version or "unknown") + (f", commit {_code(commit)}" if commit else "")),
        ("description", _text(_summary(name))),
        ("modules that ran", _modules(name, found)),
        ("licence (SPDX)", _text(licence.expression) + by_text + (f": {choice}" if choice else "")),
    ]
    if version:
        rows.append(("licence text", "; ".join(_linked(each) for each in links.licences_of(name))))
    parts = parts_of(licence.expression)
    for field in ("allows", "requires", "restricts"):
        texts = [(part, getattr(terms_of(part), field)) for part in parts]
        different = len({text for _, text in texts}) > 1
        rows.append(
            (field, "; ".join(_text(f"{part}: {text}") if different else _text(text)
                              for part, text in (texts if different else texts[:1])))
        )  # fmt: skip
    return [f"### {_text(name)}", "", *_table(("", _text(f"{name} {version}".strip())), rows), ""]


def _summary(name: str) -> str:
    if name == places.PYTHON:
        return PYTHON_IN_SHORT
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return "unknown"
    return str(about["Summary"]) if "Summary" in about else "unknown"


def _modules(name: str, found: Explanation) -> str:
    ran = (node for node in found.nodes() if node.place.package == name and node.place.first)
    modules = sorted({node.module for node in ran if node.module})
    more = len(modules) - MOST_MODULES
    text = ", ".join(map(_code, modules[:MOST_MODULES])) or "unknown"
    return f"{text} and {more} more" if more > 0 else text


def _linked(found: Link) -> str:
    if not found.url:
        return f"unknown: {_text(found.note)}" if found.note else "unknown"
    return f"<{found.url}>" + (f" ({found.note})" if found.note else "")


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
        lines.append(
            f"{indent}- out: raised {_code(node.result) if node.result else 'an exception'}"
        )
    elif node.result not in ("", "None"):
        lines.append(f"{indent}- out: {_code(node.result)}")
    lines.append(f"{indent}- {_where(step)}")
    if step.called_at is not None:
        lines.append(f"{indent}- called by {_code(step.caller)}, {_link(step.called_at)}")
    return lines


def _where(step: Step) -> str:
    """The link to the code of a step, or why there is none."""
    if not step.node.place.file:
        kind = "a system call" if step.node.place.room == places.KERNEL else "compiled code"
        return f"{kind}, made by {_link(step.place)}"
    return _link(step.place)


def _link(place: Place) -> str:
    found = links.link_of(place)
    if found.url:
        url = quote(found.url, safe=":/#@+~%")
        return f"[{_text(place.lines)}]({url})" + (f" ({found.note})" if found.note else "")
    if place.package == places.APPLICATION:
        owner = "the application itself"
    else:
        owner = f"{_text(place.package)} {version_of(place.package)}".strip()
    text = f"{_code(place.lines)}, {owner}" if place.lines else owner
    return f"{text}; no link: {_text(found.note)}"


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
