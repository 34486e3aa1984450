"""A profile as one HTML page that needs nothing else.

Without JavaScript, the page has the chart as a picture (SVG), the routes and the functions. With
it, the chart can be zoomed and searched, and shows one route.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import carboy
from carboy.cli.admin.profiles.profile import Function, Node, Profile, functions, nodes
from carboy.cli.admin.profiles.text import clean, facts

MOST_FUNCTIONS = 60  # in the table
WIDTH, ROW = 1200, 18  # units of the picture
LEAST = 0.6  # units; narrower calls are left out of the picture
LETTER = 6.7  # units
APPLICATION, PYTHON, OWN = "the application", "Python", "Carboy"
# Hue, saturation and lightness of the kinds of functions. Libraries have other hues, 200 to 380.
COLOURS = {APPLICATION: (42, 85, 72), OWN: (172, 38, 76), PYTHON: (215, 14, 82), "": (0, 0, 86)}
_library = re.compile(r".*/(?:site|dist)-packages/([^/]+?)(?:\.py)?(?:/|$)").match
_standard = re.compile(r".*/python\d+\.\d+/|<").match
_own = str(Path(carboy.__file__).parent) + "/"


def document(profile: Profile) -> str:
    """The page."""
    files = resources.files("carboy.cli.admin.profiles") / "shared"
    kinds = {kind_of(each.function): None for each in nodes(profile.root)}
    parts = {
        "facts": escape(facts(profile)),
        "style": (files / "profile.css").read_text("utf-8"),
        "script": (files / "profile.js").read_text("utf-8"),
        "legend": "".join(map(_key, filter(None, kinds))),
        "picture": _picture(profile),
        "rows": str(_depth(profile.root)),
        "choices": _choices(profile),
        "routes": _routes(profile),
        "functions": _functions(profile),
        # A closing tag inside the data must not end the script element.
        "data": json.dumps(data_of(profile), separators=(",", ":")).replace("<", "\\u003c"),
    }
    text = (files / "profile.html").read_text("utf-8")
    return re.sub("%([a-z]+)%", lambda match: parts[match[1]], text)


def kind_of(function: Function) -> str:
    """The application, a library by its name, Python or Carboy; "" for a route."""
    if not function.file:
        return ""
    if function.file.startswith(_own):
        return OWN
    if found := _library(function.file):
        return OWN if found[1] == "carboy" else found[1]
    return PYTHON if _standard(function.file) else APPLICATION


def colour(kind: str) -> str:
    """The colour of a kind, for CSS."""
    known = COLOURS.get(kind)
    hue, saturation, lightness = known or ((200 + sum(map(ord, kind)) * 47 % 180) % 360, 60, 82)
    return f"hsl({hue} {saturation}% {lightness}%)"


def data_of(profile: Profile) -> dict[str, Any]:
    """The tree for the script: for each node its parent, its function and its samples."""
    frames: dict[Function, int] = {}
    numbers: dict[Node, int] = {}
    found: list[tuple[int, int, int, int]] = []
    parents: dict[Node, int] = {profile.root: -1}
    for node in nodes(profile.root):
        number = numbers[node] = len(found)
        call = frames.setdefault(node.function, len(frames))
        found.append((parents[node], call, node.own, node.total))
        for each in node.children.values():
            parents[each] = number
    return {
        "rate": profile.rate,
        "frames": [(clean(each.name), clean(each.label()), clean(each.file), each.line,
                    colour(kind_of(each))) for each in frames],
        "nodes": found,
    }  # fmt: skip


# --- the picture


def _depth(root: Node) -> int:
    """The number of rows of the chart."""
    deepest, level = 0, [root]
    while level:
        deepest += 1
        level = [below for each in level for below in each.children.values()]
    return deepest


def _picture(profile: Profile) -> str:
    whole = profile.root.total
    if not whole:
        return "<p>No request ran.</p>"
    bars: list[str] = []
    waiting: list[tuple[Node, float, int]] = [(profile.root, 0.0, 0)]
    rows = 0
    while waiting:
        node, left, row = waiting.pop()
        width = WIDTH * node.total / whole
        if width < LEAST:
            continue
        rows = max(rows, row + 1)
        bars.append(_bar(profile, node, left, row, width))
        for each in node.largest():
            waiting.append((each, left, row + 1))
            left += WIDTH * each.total / whole
    return (
        f'<svg viewBox="0 0 {WIDTH} {rows * ROW}" role="img" aria-label="Calls by their time">'
        f"{''.join(bars)}</svg>"
    )


def _bar(profile: Profile, node: Node, left: float, row: int, width: float) -> str:
    told = _told(profile, node)
    name = clean(node.function.name)
    letters = int((width - 4) / LETTER)
    shown = name if len(name) <= letters else f"{name[: letters - 1]}…"
    text = f'<text x="{left + 3:.1f}" y="{row * ROW + 13}">{escape(shown)}</text>'
    return (
        f'<g><title>{escape(told)}</title><rect x="{left:.1f}" y="{row * ROW}"'
        f' width="{width:.1f}" height="{ROW - 1}" fill="{colour(kind_of(node.function))}"/>'
        f"{text if letters > 2 else ''}</g>"
    )


def _told(profile: Profile, node: Node) -> str:
    share = profile.share(node.total)
    return f"{clean(node.function.label())}: {profile.time(node.total):.2f} s, {share:.1f} %"


# --- the rest


def _key(kind: str) -> str:
    return f'<li><i style="background:{colour(kind)}"></i>{escape(clean(kind))}</li>'


def _choices(profile: Profile) -> str:
    return "".join(
        f'<option value="{name}">{name}</option>'
        for name in (escape(clean(each.function.name)) for each in profile.routes())
    )


def _routes(profile: Profile) -> str:
    return "".join(
        _row([*_cells(profile, each.total), clean(each.function.name)]) for each in profile.routes()
    )


def _functions(profile: Profile) -> str:
    own, total = functions(profile)
    most = sorted(total, key=lambda each: (-own[each], -total[each], each))[:MOST_FUNCTIONS]
    return "".join(
        _row([*_cells(profile, own[each]), *_cells(profile, total[each]), clean(each.label())],
             clean(each.file))
        for each in most
    )  # fmt: skip


def _cells(profile: Profile, count: int) -> tuple[str, str]:
    return f"{profile.share(count):.1f} %", f"{profile.time(count):.2f} s"


def _row(cells: Iterable[str], title: str = "") -> str:
    *figures, name = cells
    shown = "".join(f'<td class="n">{escape(each)}</td>' for each in figures)
    return f'<tr>{shown}<td title="{escape(title)}">{escape(name)}</td></tr>\n'
