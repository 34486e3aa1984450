"""The rules of channels, and what a channel may be called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from carboy.realtime.engine import ChannelRule

LONGEST_NAME = 200  # bytes in UTF-8; engines use names as keys and subjects
_not_in_name = re.compile(r"[\s*?\[\]\x00-\x20\x7f]").search


def check_channel(name: object) -> str:
    """The name, if a channel may have it. Raises TypeError or ValueError."""
    if not isinstance(name, str):
        raise TypeError(f'The name of a channel is text such as "room:7", not {name!r}.')
    if not name or _not_in_name(name) or not name.isprintable():
        raise ValueError(
            f"{name!r} cannot be the name of a channel. Use printable characters without spaces and"
            ' without * ? [ ], such as "room:7".'
        )
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(
            f"The name of a channel has up to {LONGEST_NAME} bytes, and {name[:20]!r}… has"
            f" {len(name.encode())}."
        )
    return name


class ChannelRules:
    """The rules of a process, in the order in which they were given."""

    def __init__(self) -> None:
        self._rules: dict[str, ChannelRule] = {}
        self.default = ChannelRule()

    def add(self, rule: ChannelRule) -> None:
        """Add a rule, or replace the one for the same pattern."""
        self._rules[rule.pattern] = rule

    def all_rules(self) -> Sequence[ChannelRule]:
        """The rules, in the order in which they are tried."""
        return list(self._rules.values())

    def rule(self, channel: str) -> ChannelRule:
        """The rule of a channel: the first one that matches, or the default."""
        for rule in list(self._rules.values()):
            if fnmatchcase(channel, rule.pattern):
                return rule
        return self.default


def make_rule(pattern: str, history: int, seconds: float, presence: bool) -> ChannelRule:
    """A rule. Raises TypeError or ValueError for values that a rule cannot have."""
    if not isinstance(pattern, str) or not pattern:
        raise TypeError(f'The pattern of channels is text such as "room:*", not {pattern!r}.')
    if type(history) is not int or history < 0:
        raise ValueError(f"The history is a number of messages, 0 or more, not {history!r}.")
    if not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        raise ValueError(f"The age of messages is a number of seconds, not {seconds!r}.")
    return ChannelRule(pattern, history, float(seconds), bool(presence))
