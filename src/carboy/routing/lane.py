"""The fast lane: fixed paths from one dictionary, the others by a walk that never turns back.

Both find what the full search would find first, or nothing; then the full search is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carboy.routing.trie import DIGITS, TEXT, Node

if TYPE_CHECKING:
    from carboy.routing.rule import Rule

Match = tuple["Rule", dict[str, Any]]
# path -> method (None: all others) -> rule and its defaults
Fixed = dict[str, dict[str | None, Match]]


def fixed_paths(start: Node) -> Fixed:
    """Every path without variables below `start`, with the rules that answer it at once."""
    found: Fixed = {}
    _collect(start, "", found)
    return found


def _collect(node: Node, path: str, found: Fixed) -> None:
    for text, child in node.fixed.items():
        below = f"{path}/{text}"
        if child.rules and not below.startswith("//"):
            found[below] = _by_method(child.rules)
        _collect(child, below, found)


def _by_method(rules: list[Rule]) -> dict[str | None, Match]:
    table: dict[str | None, Match] = {}
    for rule in rules:
        if rule.websocket:
            continue
        answer = (rule, dict(rule.defaults or {}))
        if rule.methods is None:
            table.setdefault(None, answer)
            break
        for method in rule.methods:
            table.setdefault(method, answer)
    direct = {method: answer for method, answer in table.items() if answer[0]._direct}
    if len(direct) < len(table):
        direct.pop(None, None)  # it must not answer for the methods left out
    return direct


def walk(node: Node, path: str, method: str) -> Match | None:
    """The rule and values of `path` by the first way that fits at every segment, or None."""
    raw: list[str] = []
    segments = path.split("/")
    count = len(segments)
    if segments[0] or count == 1 or (count > 2 and not segments[1]):
        return None  # the adapter makes one slash lead the path
    index = 0
    for segment in segments[1:]:
        index += 1
        child = node.child(segment)
        if child is not None:
            node = child
            continue
        for edge in node.edges:
            kind = edge.kind
            if kind is DIGITS:
                if segment.isdecimal():
                    raw.append(segment)
                    break
            elif kind is TEXT:
                if segment:
                    raw.append(segment)
                    break
            else:
                texts = edge.match("/".join(segments[index:]) if edge.final else segment)
                if texts is not None:
                    raw += texts
                    break
        else:
            return None
        if edge.suffixed:
            return None
        node = edge.node
        if edge.final:
            break
    return _finish(node.rules, method, raw)


def _finish(rules: list[Rule], method: str, raw: list[str]) -> Match | None:
    for rule in rules:
        methods = rule.methods
        if (methods is None or method in methods) and not rule.websocket:
            break
    else:
        return None
    if not rule._direct:
        return None
    values: dict[str, Any] = {}
    try:
        for text, (name, convert) in zip(raw, rule._conversions):  # noqa: B905  # as many
            values[name] = text if convert is None else convert(text)
    except ValueError:
        return None
    if rule.defaults:
        values.update(rule.defaults)
    return rule, values
