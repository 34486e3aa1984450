"""The fast path of matching: the rule that a search of the trie would find first, or None.

fixed path            one dictionary
variable at the end   a dictionary of fixed prefixes, then one step in the trie
other paths           a walk through the trie without backtracking

`leads_nowhere` knows paths that no rule matches. _speedups/routes.pyx has the twin of this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carboy.routing.trie import DIGITS, TEXT, Answers, Node

if TYPE_CHECKING:
    from carboy.routing.rule import Rule

Match = tuple["Rule", dict[str, Any]]


class FastPath:
    """The tables for all rules below `start`, the node before the first segment.

    `fixed` has the rules of each path without variables, `prefixes` the node at the end of each
    fixed prefix that a variable can follow. Without `start` the tables are empty. `alone`: no
    pattern of a domain takes part in a search below `start`.
    """

    __slots__ = ("alone", "fixed", "prefixes", "start")

    def __init__(self, start: Node | None = None, alone: bool = False) -> None:
        self.start = start
        self.alone = alone
        self.fixed: dict[str, Answers] = {}
        self.prefixes: dict[str, Node] = {}
        if start is not None:
            _answer(start)
            self._collect(start, "")

    def _collect(self, node: Node, path: str) -> None:
        if node.rules:
            self.fixed[path] = node.answers
        if path == "/":
            return  # a path that begins with two slashes is left to the adapter
        if node.edges:
            self.prefixes[path] = node
        for text, child in node.fixed.items():
            self._collect(child, f"{path}/{text}")


def _answer(node: Node) -> None:
    """For this node and all below: find the rules that answer a method without a full search."""
    table: dict[str | None, Rule] = {}
    for rule in node.rules:
        if rule.websocket:
            continue
        if rule.methods is None:
            table.setdefault(None, rule)  # for the methods that no earlier rule has
            break
        for method in rule.methods:
            table.setdefault(method, rule)
    answers = {method: rule for method, rule in table.items() if rule._plain}
    if len(answers) < len(table):
        answers.pop(None, None)  # must not answer the methods that are left out
    node.answers = answers
    for edge in node.edges:
        _answer(edge.node)
    for child in node.fixed.values():
        _answer(child)


def step(node: Node, text: str, method: str) -> Match | None:
    """The match of the path that ends with the segment `text` after `node`."""
    if node.child(text) is not None:
        return None
    for edge in node.edges:
        kind = edge.kind
        raw: tuple[str, ...] | None
        if kind is DIGITS:
            if not text.isdecimal():
                continue
            raw = (text,)
        elif kind is TEXT:
            if not text:
                continue
            raw = (text,)
        else:
            raw = edge.match(text)
            if raw is None:
                continue
        return None if edge.suffixed else finish(edge.node, method, raw)
    return None


def walk(node: Node, path: str, method: str) -> Match | None:
    """The match of `path` by the first edge that fits at each segment."""
    raw: tuple[str, ...] = ()
    segments = path.split("/")
    count = len(segments)
    if segments[0] or count < 3 or not segments[1]:
        return None  # `step` matches one segment; two slashes are left to the adapter
    for index in range(1, count):
        segment = segments[index]
        child = node.child(segment)
        if child is not None:
            node = child
            continue
        for edge in node.edges:
            texts = edge.match("/".join(segments[index:]) if edge.final else segment)
            if texts is not None:
                break
        else:
            return None
        if edge.suffixed:
            return None
        raw += texts
        node = edge.node
        if edge.final:
            break
    return finish(node, method, raw)


def leads_nowhere(tables: FastPath, path: str) -> bool:
    """Whether the fixed segments of a path in the default domain show that no rule matches it.

    False where only a search can tell: variables, a slash at the end, or doubled slashes.
    """
    node = tables.start
    if node is None or not tables.alone:
        return False
    for segment in path.split("/")[1:]:
        if node.edges or not segment:
            return False
        child = node.child(segment)
        if child is None:
            return True
        node = child
    return False


def finish(node: Node, method: str, raw: tuple[str, ...]) -> Match | None:
    """The rule of a node for a method, with its values."""
    answers = node.answers
    rule = answers.get(method) or answers.get(None)
    if rule is None:
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
