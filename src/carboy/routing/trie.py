"""The trie of all rules, with one level for each path segment: matching does not scan rules.

It knows texts and rules. Redirects are made by the adapter. From a node, the fixed text of a
segment is tried first, then the dynamic edges in the order of their weight. Edges with the same
pattern share a node, whatever the names of their variables are.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from carboy.routing.converters import ValidationError
from carboy.routing.errors import NoMatch, RequestPath
from carboy.routing.linear import linear_match
from carboy.routing.parts import Dynamic, Fixed, Part, domain_part, merge_slashes, path_parts

if TYPE_CHECKING:
    from carboy.routing.rule import Rule

Raw = tuple[str, ...]
Answers = dict[str | None, "Rule"]


class Kind(Enum):
    """How the text of an edge is matched. \\d is str.isdecimal, and segments have no slash."""

    PATTERN = "by its regular expression"
    TEXT = "any text"
    DIGITS = "decimal digits"


PATTERN, TEXT, DIGITS = Kind
KINDS = {"([^/]+)": TEXT, "([^/]{1,})": TEXT, r"(\d+)": DIGITS}


class Outcome(Enum):
    """How a search ended without a rule."""

    SLASH_MISSING = "the rule of this path with a slash at the end would match"


class Node:
    """A place in the trie: the ways to the next segment, and the rules that end here."""

    __slots__ = ("answers", "by_key", "child", "edges", "fixed", "rules")

    def __init__(self) -> None:
        self.fixed: dict[str, Node] = {}
        self.child = self.fixed.get
        self.edges: list[Edge] = []
        self.by_key: dict[tuple[str, bool], Edge] = {}
        self.rules: list[Rule] = []
        self.answers: Answers = {}  # set and read by the fast path

    def enter(self, part: Part) -> Node:
        """The node after `part`, which is made if it does not exist."""
        if isinstance(part, Fixed):
            return self.fixed.setdefault(part.text, Node())
        key = (part.pattern, part.final)
        edge = self.by_key.get(key)
        if edge is None:
            edge = self.by_key[key] = Edge(part)
            # A new list, because other threads may be iterating over the old one.
            self.edges = sorted([*self.edges, edge], key=lambda each: each.weight)
        return edge.node


class Edge:
    """An edge with variables, from one node to another."""

    __slots__ = ("final", "fullmatch", "groups", "kind", "linear", "node", "suffixed", "weight")

    def __init__(self, part: Dynamic) -> None:
        self.weight = part.weight
        self.final = part.final
        self.suffixed = part.suffixed
        self.node = Node()
        self.kind = PATTERN if part.final else KINDS.get(part.pattern, PATTERN)
        self.fullmatch = re.compile(part.pattern).fullmatch
        self.groups = part.groups
        self.linear = linear_match(part.pattern, part.groups) if self.kind is PATTERN else None

    def match(self, text: str) -> Raw | None:
        """The texts of the variables, or None."""
        if self.kind is TEXT:
            return (text,) if text else None
        if self.kind is DIGITS:
            return (text,) if text.isdecimal() else None
        if self.linear is not None and len(text) > self.linear[1]:
            return self.linear[0](text)
        found = self.fullmatch(text)
        return None if found is None else tuple(found[group] or "" for group in self.groups)


class Search:
    """A search and its result: a rule, another path to redirect to, or why there is no rule.

    `raw` has the texts of the rule's variables. `allowed` (methods) and `mismatch` (WebSocket) say
    why rules of the right path did not match.
    """

    __slots__ = ("allowed", "method", "mismatch", "other_path", "raw", "rule", "websocket")

    def __init__(self, method: str, websocket: bool) -> None:
        self.method = method
        self.websocket = websocket
        self.rule: Rule | None = None
        self.raw: Raw = ()
        self.other_path: str | None = None
        self.allowed: set[str] = set()
        self.mismatch = False

    def result(self) -> tuple[Rule, dict[str, Any]]:
        """The rule and its values from the converters; raises RequestPath or NoMatch."""
        if self.other_path is not None:
            raise RequestPath(self.other_path)
        if self.rule is None:
            raise NoMatch(self.allowed, self.mismatch)
        try:
            return self.rule, self.rule._convert(self.raw)
        except ValidationError:
            raise NoMatch(self.allowed, self.mismatch) from None

    def find(self, node: Node, parts: list[str], at: int) -> tuple[Rule, Raw] | Outcome | None:
        """The first rule below `node` that matches the rest of the path, `parts[at:]`."""
        if at == len(parts):
            return self._end(node)
        part = parts[at]
        child = node.fixed.get(part)
        if child is not None:
            found = self.find(child, parts, at + 1)
            if found is not None:
                return found
        for edge in node.edges:
            raw = edge.match("/".join(parts[at:]) if edge.final else part)
            if raw is not None:
                found = self._follow(edge, raw, parts, at)
                if found is not None:
                    return found
        if (
            not part and at == len(parts) - 1
        ):  # a trailing slash, which a leaf accepts if it is not strict
            for rule in node.rules:
                if not rule.strict_slashes and self._usable(rule):
                    return rule, ()
        return None

    def _follow(
        self, edge: Edge, raw: Raw, parts: list[str], at: int
    ) -> tuple[Rule, Raw] | Outcome | None:
        if not edge.final:
            found = self.find(edge.node, parts, at + 1)
        elif not edge.suffixed:
            found = self._end(edge.node)
        else:
            raw, suffix = raw[:-1], raw[-1]
            found = self.find(edge.node, [""], 0) if suffix else self._end(edge.node)
        if isinstance(found, tuple):
            return found[0], raw + found[1]
        return found

    def _end(self, node: Node) -> tuple[Rule, Raw] | Outcome | None:
        for rule in node.rules:
            if self._usable(rule):
                return rule, ()
        branch = node.fixed.get("")
        for rule in branch.rules if branch is not None else ():
            if rule.websocket == self.websocket and self._allowed(rule):
                return Outcome.SLASH_MISSING if rule.strict_slashes else (rule, ())
        return None

    def _allowed(self, rule: Rule) -> bool:
        return rule.methods is None or self.method in rule.methods

    def _usable(self, rule: Rule) -> bool:
        if not self._allowed(rule):
            self.allowed.update(rule.methods or ())
            return False
        if rule.websocket != self.websocket:
            self.mismatch = True
            return False
        return True


# The result for a path that no rule matches, with no rule of another method. Nothing changes it.
NOTHING = Search("", False)


class StateMachineMatcher:
    """All rules of a map, ready to be matched."""

    def __init__(self, merge_slashes: bool) -> None:
        self.merge_slashes = merge_slashes
        self.root = Node()

    def add(self, rule: Rule) -> None:
        """Add a bound rule to the trie."""
        domain, path = rule._tokens
        node = self.root.enter(domain_part(domain, rule._converters))
        for part in path_parts(path, rule._converters):
            node = node.enter(part)
        node.rules.append(rule)

    def update(self) -> None:
        """Do nothing: the trie is always in order. Callers of Werkzeug's matcher call it."""

    def search(self, domain: str, path: str, method: str, websocket: bool) -> Search:
        """Search for the path by texts alone: no converter is called."""
        search = Search(method, websocket)
        found = search.find(self.root, [domain, *path.split("/")], 0)
        if found is Outcome.SLASH_MISSING:
            search.other_path = f"{path}/"
        elif found is not None:
            search.rule, search.raw = found
        elif self.merge_slashes and "//" in path:
            self._search_merged(search, domain, path)
        return search

    def _search_merged(self, search: Search, domain: str, path: str) -> None:
        """Redirect if the path without its doubled slashes matches."""
        merged = merge_slashes(path)
        found = search.find(self.root, [domain, *merged.split("/")], 0)
        if found is Outcome.SLASH_MISSING:
            search.other_path = f"{merged}/"
        elif found is not None and found[0].merge_slashes:
            search.other_path = merged

    def match(
        self, domain: str, path: str, method: str, websocket: bool
    ) -> tuple[Rule, dict[str, Any]]:
        """The rule and its values; raises RequestPath or NoMatch."""
        return self.search(domain, path, method, websocket).result()
