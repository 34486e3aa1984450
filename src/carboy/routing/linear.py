"""Matching of several variables in one part of a path, in linear time.

`re` backtracks for each variable: if the text does not match, two variables take time proportional
to the square of its length, three to the cube, and the client chooses the text. Here each pair of
a variable and a place where it could end is tried once. The order of the attempts is that of `re`,
so the result is the same.

This module accepts patterns of what rules usually have: fixed texts, and variables that are runs of
repeated characters or one of several words. All other patterns are left to `re`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from carboy.late import compiled_later

# Steps that `re` may take, a fraction of a millisecond: shorter texts are left to `re`, which is
# faster as long as it does not backtrack, and it nearly never does.
AFFORDABLE = 20_000

SUFFIX = "(?<!/)(/?)"  # the slash that ends a branch, see parts.py
_SPECIAL = re.escape("^$*+?{}[]\\|()")
_atom = compiled_later(r"\[\^?\]?(?:[^\]\\]|\\.)*+\]|\\[dDwWsS]|\.", re.DOTALL)
_character = compiled_later(rf"\\([^0-9a-zA-Z])|([^{_SPECIAL}])", re.DOTALL)
_repeat = compiled_later(r"(?:(\*)|(\+)|(\?)|\{(\d*)(,?)(\d*)\})(\??)(?!\+)")
_WORD = rf"(?:\\[^0-9a-zA-Z]|[^{_SPECIAL}])*+"
_words = compiled_later(rf"\((\?:)?({_WORD}(?:\|{_WORD})++)\)(?![*+?{{])", re.DOTALL)
_each_word = compiled_later(rf"(?:^|\|)({_WORD})", re.DOTALL)
_escaped = compiled_later(r"\\(.)", re.DOTALL)
_LARGE = 1 << 16  # longest repetition; patterns with a longer one are left to `re`
_LONG = 200  # most items; longer patterns are left to `re`

NOWHERE = (0, -1)
Match = Callable[[str], tuple[str, ...] | None]


class Words:
    """One of several texts: the first that leads to a match. A fixed text is the only one."""

    __slots__ = ("texts",)

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.texts = texts


class Run:
    """From `least` to `most` characters of one kind; the longest run first unless `lazy`."""

    __slots__ = ("lazy", "least", "most", "reach")

    def __init__(self, atom: str, least: int, most: int | None, lazy: bool) -> None:
        self.least = least
        self.most = most
        self.lazy = lazy
        self.reach = re.compile(f"{atom}*+").match


class Suffix:
    """An optional slash at the end of the text, after another character than a slash."""

    __slots__ = ()


Item = Words | Run | Suffix


def linear_match(pattern: str, groups: tuple[int, ...]) -> tuple[Match, int] | None:
    """A function that returns the texts of `groups`, like a full match of `pattern` by `re`.

    The second value is the length of text up to which `re` is fast enough. Returns None if `re` is
    linear, as with one variable, or if the pattern has a part that this module does not know.
    """
    reader = _Reader(pattern)
    if not reader.read() or len(reader.items) > _LONG:
        return None
    runs, ways = 0, 1
    for item in reader.items:
        if isinstance(item, Words):
            ways *= len(item.texts)
        elif isinstance(item, Run) and (item.most is None or item.most - item.least > 1):
            runs += 1
    if runs < 2 and ways < AFFORDABLE // 20:
        return None
    all_lazy = all(
        not isinstance(item, Run) or item.lazy or item.most == item.least for item in reader.items
    )
    spans = [reader.spans[number] for number in groups]
    length = int((AFFORDABLE / ways) ** (1 / max(runs, 1)))

    def match(text: str) -> tuple[str, ...] | None:
        places = Trial(reader.items, text, lazy=True).run()
        if places is not None and not all_lazy:
            places = Trial(reader.items, text).run()
        if places is None:
            return None
        return tuple(text[places[first] : places[last]] for first, last in spans)

    return match, length


class _Reader:
    """Splits a pattern into items; `spans` has the first and the last item of each group."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.items: list[Item] = []
        self.spans: dict[int, tuple[int, int]] = {}
        self._fixed = ""

    def read(self) -> bool:
        """Read the pattern; returns whether that was possible."""
        while self.at < len(self.pattern):
            if self.pattern.startswith(SUFFIX, self.at):
                self._end_fixed()
                self.at += len(SUFFIX)
                first = len(self.items)
                self.items.append(Suffix())
                self.spans[len(self.spans) + 1] = (first, first + 1)
            elif self.pattern[self.at] == "(":
                if not self._group():
                    return False
            elif not self._item():
                return False
        self._end_fixed()
        return True

    def _group(self) -> bool:
        """Read a variable: the group with the pattern of its converter."""
        self._end_fixed()
        first = len(self.items)
        if not self._choice(capturing=True):
            self.at += 1
            while self.at < len(self.pattern) and self.pattern[self.at] != ")":
                if not (self._choice(capturing=False) or self._item()):
                    return False
            self._end_fixed()
            self.at += 1
            if _repeat.match(self.pattern, self.at):
                return False
        self.spans[len(self.spans) + 1] = (first, len(self.items))
        return True

    def _choice(self, capturing: bool) -> bool:
        found = _words.match(self.pattern, self.at)
        if found is None or (found[1] is None) is not capturing:
            return False
        self._end_fixed()
        self.at = found.end()
        words = _each_word.findall(found[2])
        self.items.append(Words(tuple(_escaped.sub(r"\1", word) for word in words)))
        return True

    def _item(self) -> bool:
        """Read a character or a kind of characters, with its repetition."""
        found = _atom.match(self.pattern, self.at)
        character = None
        if found is None:
            found = _character.match(self.pattern, self.at)
            if found is None:
                return False
            character = found[1] or found[2]
        self.at = found.end()
        repeat = _repeat.match(self.pattern, self.at)
        if repeat is None:
            if self.pattern[self.at : self.at + 1] in ("*", "+", "?", "{"):
                return False
            if character is not None:
                self._fixed += character
                return True
            self._end_fixed()
            self.items.append(Run(found[0], 1, 1, lazy=False))
            return True
        self._end_fixed()
        self.at = repeat.end()
        star, plus, question, least, comma, most, lazy = repeat.groups()
        if star or plus or question:
            low, high = (1 if plus else 0), (1 if question else None)
        elif least or most:
            low = int(least or 0)
            high = low if not comma else int(most) if most else None
        else:
            return False  # "{}" and "{,}" are not repetitions
        if max(low, high or 0) > _LARGE:
            return False
        self.items.append(Run(found[0], low, high, bool(lazy)))
        return True

    def _end_fixed(self) -> None:
        if self._fixed:
            self.items.append(Words((self._fixed,)))
            self._fixed = ""


class Trial:
    """An attempt to match one text, with the places that are known not to lead to a match.

    An open run has no maximum length. `_tried` has for each open run, by the place where its kind
    of characters ends, the lowest end that was tried: all higher ends were tried as well. `_failed`
    has each end of the other runs that was tried. `_dead` has for each item a range of places where
    it cannot match: after an open run has failed, it also fails from all later places, as far as
    its characters reach, and so do the items before it from the places that lead there.
    """

    __slots__ = ("_dead", "_failed", "_items", "_last", "_lazy", "_places", "_text", "_tried")

    def __init__(self, items: list[Item], text: str, lazy: bool = False) -> None:
        self._items = items
        self._text = text
        self._lazy = (
            lazy  # treat all runs as lazy: the order does not change whether there is a match
        )
        self._places = [0] * (len(items) + 1)
        self._tried: list[dict[int, int]] = [{} for _ in items]
        self._failed: list[set[int]] = [set() for _ in items]
        self._dead = [NOWHERE] * (len(items) + 1)
        self._last = [NOWHERE] * len(items)  # the range that the characters of a run last reached

    def run(self) -> list[int] | None:
        """The places where each item begins and the last one ends, or None without a match."""
        return self._places if self._matches(0, 0) else None

    def _matches(self, index: int, at: int) -> bool:
        """Whether the items from `index` match the text from `at`."""
        self._places[index] = at
        if index == len(self._items):
            return at == len(self._text)
        first, last = self._dead[index]
        if first <= at <= last:
            return False
        item = self._items[index]
        if isinstance(item, Words):
            return self._words(index, item, at)
        if isinstance(item, Run):
            return (self._open if item.most is None else self._closed)(index, item, at)
        if at and self._text[at - 1] == "/":
            return False
        return self._matches(index + 1, at + self._text.startswith("/", at))

    def _words(self, index: int, item: Words, at: int) -> bool:
        if at in self._failed[index]:
            return False
        for text in item.texts:
            if self._text.startswith(text, at) and self._matches(index + 1, at + len(text)):
                return True
        if len(item.texts) > 1:
            self._failed[index].add(at)
        return False

    def _closed(self, index: int, item: Run, at: int) -> bool:
        found = item.reach(self._text, at, at + (item.most or 0))
        reach = at if found is None else found.end()
        if item.most == item.least:
            return reach == at + item.least and self._matches(index + 1, reach)
        failed = self._failed[index]
        ends = range(at + item.least, reach + 1)
        for end in ends if item.lazy else reversed(ends):
            if end not in failed:
                if self._matches(index + 1, end):
                    return True
                failed.add(end)
        return False

    def _open(self, index: int, item: Run, at: int) -> bool:
        reach = self._reach(index, item, at)
        lowest = at + item.least
        tried = self._tried[index].get(reach, reach + 1)
        if lowest < tried:
            search = self._upwards if item.lazy or self._lazy else self._downwards
            if search(index + 1, lowest, tried - 1):
                return True
            self._tried[index][reach] = lowest
        self._mark_dead(index, at, reach)
        return False

    def _reach(self, index: int, item: Run, at: int) -> int:
        """Where this run's kind of characters ends. No character is examined often."""
        first, last = self._last[index]
        if first <= at <= last:
            return last
        found = item.reach(self._text, at, first if at < first else len(self._text))
        reach = at if found is None else found.end()
        if at < first == reach:
            reach = last
        self._last[index] = (at, reach)
        return reach

    def _upwards(self, index: int, low: int, high: int) -> bool:
        """Whether the items from `index` match from a place in the range, lowest place first."""
        fixed = self._fixed(index)
        if index == len(self._items):
            low = max(low, len(self._text))
        while low <= high:
            if fixed:
                low = self._text.find(fixed, low, high + len(fixed))
                if low < 0:
                    return False
            if self._matches(index, low):
                return True
            first, last = self._dead[index]
            low = last + 1 if first <= low <= last else low + 1
        return False

    def _downwards(self, index: int, low: int, high: int) -> bool:
        """Whether the items from `index` match from a place in the range, highest place first."""
        fixed = self._fixed(index)
        if index == len(self._items):
            low = max(low, len(self._text))
        while low <= high:
            if fixed:
                high = self._text.rfind(fixed, low, high + len(fixed))
                if high < 0:
                    return False
            if self._matches(index, high):
                return True
            first, last = self._dead[index]
            high = first - 1 if first <= high <= last else high - 1
        return False

    def _fixed(self, index: int) -> str:
        if index < len(self._items):
            item = self._items[index]
            if isinstance(item, Words) and len(item.texts) == 1:
                return item.texts[0]
        return ""

    def _mark_dead(self, index: int, first: int, last: int) -> None:
        """Mark a range where this item cannot match, and the ranges that lead there."""
        before, end = self._dead[index]
        self._dead[index] = (min(before, first) if end == last else first, last)
        while index:
            index -= 1
            item = self._items[index]
            if isinstance(item, Words):
                first -= min(map(len, item.texts))
                last -= max(map(len, item.texts))
            elif isinstance(item, Run) and item.most is not None:
                first -= item.least
                last -= item.most
            else:
                return
            if first > last:
                return
            self._dead[index] = (first, last)
