"""Values with a lifetime and counters, kept where all processes and machines can reach them.

A Store is what sessions, limits and the cache need of an engine. It connects when it is first used,
may be used by any thread, and connects again in a forked process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Count", "Store", "Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """A counter that begins again after a time. `seconds` after its first hit, it is zero."""

    key: str
    limit: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Count:
    """The state of a window: hits so far, and seconds until it ends."""

    hits: int
    seconds: float


class Store(Protocol):
    """An engine as a store. Each method raises EngineUnavailable if it cannot be reached."""

    def get(self, key: str) -> bytes | None:
        """The value of a key; None if there is none or its time is over."""

    def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """The values of those of the keys that have one."""

    def set(self, key: str, value: bytes, seconds: float | None) -> None:
        """Set a value for so many seconds; None: without an end."""

    def add(self, key: str, value: bytes, seconds: float | None) -> bool:
        """Set a value unless the key has one. Returns whether it was set."""

    def replace(self, key: str, value: bytes, seconds: float | None) -> bool:
        """Set a value if the key has one. Returns whether it was set."""

    def touch(self, key: str, seconds: float) -> bool:
        """Let a value live for so many seconds from now. Returns whether there is one."""

    def delete(self, keys: Sequence[str]) -> int:
        """Delete values. Returns how many there were."""

    def clear(self, prefix: str) -> None:
        """Delete all values whose keys begin with a prefix."""

    def hit(self, windows: Sequence[Window], cost: int) -> tuple[bool, list[Count]]:
        """Count `cost` in all windows, or in none if it would exceed the limit of one of them.

        Returns whether it was counted, and the state of each window after that. This is one
        operation: of hits at the same time, also from other machines, none is counted too much.
        """

    def close(self) -> None:
        """Close all connections. The store connects again when it is used."""
