"""Dispatch keys of applications whose routes are not known: the shapes of their paths."""

from __future__ import annotations

import re
from collections.abc import Hashable

from carboy.gateway.interface import Exchange
from carboy.protocol.events import RequestHead

# A segment with a digit and a long segment look like values. A long one may also be a secret, such
# as the token of a link to reset a password.
_VALUE = re.compile("[0-9]|[^/]{20}").search
_LONG = re.compile("[^/]{20}").search

SHAPES = 1024  # paths remembered with their dispatch keys; clients choose paths


class PathShapes:
    """The methods and shapes of the paths seen. Only for the leader."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}

    def prepare(self, exchange: Exchange) -> Hashable:
        """Method and path with the parts that look like values taken out."""
        head = exchange.head
        seen = head.method + head.path
        return self._keys.get(seen) or self._learn(head, seen)

    def _learn(self, head: RequestHead, seen: str) -> str:
        key = f"{head.method} {path_shape(head.path)}"
        if not _LONG(head.path):
            if len(self._keys) >= SHAPES:
                self._keys.clear()  # cheaper than keeping an order, and rare
            self._keys[seen] = key
        return key


def path_shape(path: str) -> str:
    """The path with "*" for every segment that has a digit or is long."""
    if not _VALUE(path):
        return path
    return "/".join("*" if _VALUE(part) else part for part in path.split("/"))
