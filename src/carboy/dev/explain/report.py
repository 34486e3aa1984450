"""The open-source report of the chain: packages, licences, and what each step does with what."""

from __future__ import annotations

from carboy.dev.explain import links, places
from carboy.dev.explain.explanation import Explanation
from carboy.dev.explain.licences import licence_of, parts_of, terms_of
from carboy.dev.explain.places import version_of
from carboy.dev.explain.steps import Step
from carboy.dev.explain.terminal import duration

NO_PACKAGE = {places.KERNEL, places.C_CODE, places.APPLICATION}


def make(found: Explanation) -> str:
    """The report as Markdown."""
    lines = [
        f"# What answers `{found.request}`",
        "",
        f"Made by `carboy explain` from one real request to `{found.app}`, answered with"
        f" {found.status} and {found.octets:,} octets, on Python {version_of(places.PYTHON)}.",
        "Times are of this one request, without the time that recording it took.",
        "",
        "## The packages of the chain",
        "",
        *_packages(found),
        "",
        "## What their licences say",
        "",
        "In short and in our own words; the text of each licence is what holds.",
        "",
        *_licences(found),
        "",
        "## How it does what it does, from after the TCP socket is created",
        "",
    ]
    for step in found.steps:
        lines += _step(step)
    if found.rule:
        lines += ["", "## How the rule was found", "", "```text", *found.rule, "```"]
    return "\n".join(lines) + "\n"


def packages(found: Explanation) -> list[str]:
    """The names of all packages that ran, Carboy first."""
    ran = {node.place.package for node in found.nodes()} - NO_PACKAGE
    return sorted(ran, key=lambda name: (name != "carboy", name))


def _packages(found: Explanation) -> list[str]:
    lines = ["| package | version | repository | licence (SPDX) |", "|---|---|---|---|"]
    for name in packages(found):
        home = links.repository(name) or "unknown"
        version = version_of(name) or "unknown"
        licence = licence_of(name)
        note = " (recognised by its text)" if licence.by_text else ""
        lines.append(f"| {name} | {version} | {home} | {licence.expression}{note} |")
    return lines


def _licences(found: Explanation) -> list[str]:
    lines = ["| licence | allows | requires | forbids |", "|---|---|---|---|"]
    expressions = {licence_of(name).expression for name in packages(found)}
    for licence in sorted({part for each in expressions for part in parts_of(each)}):
        terms = terms_of(licence)
        lines.append(f"| {licence} | {terms.allows} | {terms.requires} | {terms.forbids} |")
    return lines


def _step(step: Step) -> list[str]:
    node = step.node
    times = f", {step.times} times" if step.times > 1 else ""
    lines = [f"{step.number}. **{step.title}**{times}: `{node.name}`, {duration(step.time)}."]
    given = [f"{name} = {value}" for name, value in node.args if name not in ("self", "cls")]
    if given:
        lines.append(f"   - in: {_code(', '.join(given))}")
    if node.raised:
        lines.append("   - out: an exception")
    elif node.result not in ("", "None"):
        lines.append(f"   - out: {_code(node.result)}")
    lines.append(f"   - {_where(step)}")
    return lines


def _where(step: Step) -> str:
    place = step.node.place
    if not place.file:
        return f"a system call, made by {step.where}"
    if url := links.link(place):
        return f"[{place.lines}]({url})"
    if place.package == places.APPLICATION:
        return f"{place.lines}, the application itself"
    return f"{place.package} {version_of(place.package)}, {place.lines}"


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"
