"""The parts of a rule in the form of Werkzeug's rules, for programs that inspect rules.

Matching uses the trie instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from carboy.routing.parts import Fixed, Part, domain_part, path_parts


class Weighting(NamedTuple):
    """The sort key of rules: fixed texts, their places and lengths, variables, their weights."""

    number_static_weights: int
    static_weights: list[tuple[int, int]]
    number_argument_weights: int
    argument_weights: list[int]


@dataclass
class RulePart:
    """A segment of a rule: a text, or a pattern if `static` is False."""

    content: str
    final: bool
    static: bool
    suffixed: bool
    weight: Weighting


@dataclass
class State:
    """A node between two segments: the ways to the next segment, and the rules that end here."""

    dynamic: list[tuple[RulePart, State]] = field(default_factory=list)
    rules: list[Any] = field(default_factory=list)
    static: dict[str, State] = field(default_factory=dict)


class SlashRequired(Exception):
    """The path matches if a slash is appended."""


def described(rule: Any) -> list[RulePart]:
    """The parts of a bound rule: its host or subdomain, then its path."""
    domain, path = rule._tokens
    if not path:
        return []
    parts = [domain_part(domain, rule._converters), *path_parts(path, rule._converters)]
    return list(_described(parts))


def _described(parts: list[Part]) -> Iterator[RulePart]:
    weight = Weighting(0, [], 0, [])
    suffixed = False
    for part in parts:
        if isinstance(part, Fixed):
            if part.text:
                weight = Weighting(-1, [(0, -len(part.text))], 0, [])
            elif not suffixed:  # otherwise it is the end of the previous part and has its weight
                weight = Weighting(0, [], 0, [])
            yield RulePart(part.text, False, True, False, weight)
        else:
            weight, suffixed = Weighting(*part.weight), part.suffixed
            yield RulePart(f"{part.pattern}\\Z", part.final, False, suffixed, weight)
