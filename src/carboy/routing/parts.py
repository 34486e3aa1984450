"""The parts of a rule that the trie is made of: fixed segments and dynamic parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from carboy.late import compiled_later
from carboy.routing.converters import BaseConverter
from carboy.routing.syntax import Token

_SLASHES = compiled_later("/{2,}")

# Orders rules: more fixed texts, earlier and longer ones, more variables, then their weights.
Weight = tuple[int, list[tuple[int, int]], int, list[int]]


def merge_slashes(path: str) -> str:
    """The path with each run of slashes replaced by one slash."""
    return _SLASHES.sub("/", path)


class Fixed:
    """A segment of fixed text."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Dynamic:
    """A segment with variables, or, if `final`, the whole rest of the path.

    `pattern` matches all of it; `groups` has the numbers of the groups of the variables. With
    `suffixed`, the last group is the slash that ends a branch, or empty if that is missing.
    """

    __slots__ = ("final", "groups", "pattern", "suffixed", "weight")

    def __init__(
        self, pattern: str, groups: tuple[int, ...], weight: Weight, final: bool, suffixed: bool
    ) -> None:
        self.pattern = pattern
        self.groups = groups
        self.weight = weight
        self.final = final
        self.suffixed = suffixed


Part = Fixed | Dynamic


def domain_part(tokens: list[Token], converters: Mapping[str, BaseConverter]) -> Part:
    """The host or subdomain of a rule as one part."""
    if all(isinstance(token, str) for token in tokens):
        return Fixed("".join(map(str, tokens)))
    return _dynamic(tokens, converters)


def path_parts(tokens: list[Token], converters: Mapping[str, BaseConverter]) -> Iterable[Part]:
    """The parts of the path of a rule. The first part is empty, before the leading slash.

    From the first variable that may contain a slash, the rest of the path is one final part.
    """
    segments = _segments(tokens)
    for index, segment in enumerate(segments):
        if any(not _isolating(token, converters) for token in segment):
            yield from _final(segments[index:], converters)
            return
        if all(isinstance(token, str) for token in segment):
            yield Fixed("".join(map(str, segment)))
        else:
            yield _dynamic(segment, converters)


def _isolating(token: Token, converters: Mapping[str, BaseConverter]) -> bool:
    return isinstance(token, str) or converters[token.name].part_isolating


def _segments(tokens: list[Token]) -> list[list[Token]]:
    segments: list[list[Token]] = [[]]
    for token in tokens:
        if not isinstance(token, str):
            segments[-1].append(token)
            continue
        first, *rest = token.split("/")
        if first:
            segments[-1].append(first)
        segments.extend([text] if text else [] for text in rest)
    return segments


def _final(segments: list[list[Token]], converters: Mapping[str, BaseConverter]) -> Iterable[Part]:
    branch = not segments[-1]
    flat: list[Token] = []
    for segment in segments[:-1] if branch else segments:
        flat += ["/", *segment]
    yield _dynamic(flat[1:], converters, final=True, suffixed=branch)
    if branch:
        yield Fixed("")


def _dynamic(
    tokens: list[Token],
    converters: Mapping[str, BaseConverter],
    final: bool = False,
    suffixed: bool = False,
) -> Dynamic:
    pattern = ""
    groups: list[int] = []
    count = 1
    fixed: list[tuple[int, int]] = []
    weights: list[int] = []
    for token in tokens:
        if isinstance(token, str):
            pattern += re.escape(token)
            if token != "/":
                fixed.append((len(fixed), -len(token)))
            continue
        converter = converters[token.name]
        pattern += f"({converter.regex})"
        groups.append(count)
        count += 1 + re.compile(converter.regex).groups
        weights.append(converter.weight)
    if suffixed:
        pattern += "(?<!/)(/?)"
        groups.append(count)
    weight = (-len(fixed), fixed, -len(weights), weights)
    return Dynamic(pattern, tuple(groups), weight, final, suffixed)
