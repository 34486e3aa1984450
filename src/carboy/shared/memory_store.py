"""A store in the memory of one process, for one worker, for tests, and while an engine is down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from carboy.shared.store import Count, Window

__all__ = ["MemoryStore"]

SWEEP = 1000  # changes between two searches for values whose time is over


class MemoryStore:
    """A Store whose values end with the process. One lock guards both tables."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._values: dict[str, tuple[bytes, float | None]] = {}  # value and end
        self._counts: dict[str, tuple[int, float]] = {}  # hits and end
        self._changes = 0

    def get(self, key: str) -> bytes | None:
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        with self._lock:
            return {key: value for key in keys if (value := self._get(key)) is not None}

    def set(self, key: str, value: bytes, seconds: float | None) -> None:
        with self._lock:
            self._set(key, value, seconds)

    def add(self, key: str, value: bytes, seconds: float | None) -> bool:
        with self._lock:
            if self._get(key) is not None:
                return False
            self._set(key, value, seconds)
            return True

    def replace(self, key: str, value: bytes, seconds: float | None) -> bool:
        with self._lock:
            if self._get(key) is None:
                return False
            self._set(key, value, seconds)
            return True

    def touch(self, key: str, seconds: float) -> bool:
        with self._lock:
            value = self._get(key)
            if value is None:
                return False
            self._set(key, value, seconds)
            return True

    def delete(self, keys: Sequence[str]) -> int:
        with self._lock:
            live = [key for key in set(keys) if self._get(key) is not None]
            for key in keys:
                self._values.pop(key, None)
            return len(live)

    def clear(self, prefix: str) -> None:
        with self._lock:
            for key in [key for key in self._values if key.startswith(prefix)]:
                del self._values[key]

    def hit(self, windows: Sequence[Window], cost: int) -> tuple[bool, list[Count]]:
        with self._lock:
            now = self._clock()
            states = [self._counts.get(each.key, (0, 0.0)) for each in windows]
            states = [
                (hits, end) if end > now else (0, now + each.seconds)
                for (hits, end), each in zip(states, windows, strict=True)
            ]
            counted = all(
                hits + cost <= each.limit for (hits, _), each in zip(states, windows, strict=True)
            )
            if counted:
                states = [(hits + cost, end) for hits, end in states]
                for each, state in zip(windows, states, strict=True):
                    self._counts[each.key] = state
                self._changed(now)
            return counted, [Count(hits, end - now) for hits, end in states]

    def close(self) -> None:
        pass

    # --- with the lock

    def _get(self, key: str) -> bytes | None:
        value, end = self._values.get(key, (None, None))
        return value if end is None or end > self._clock() else None

    def _set(self, key: str, value: bytes, seconds: float | None) -> None:
        now = self._clock()
        self._values[key] = (value, None if seconds is None else now + seconds)
        self._changed(now)

    def _changed(self, now: float) -> None:
        self._changes += 1
        if self._changes >= SWEEP:
            self._changes = 0
            self._values = {
                key: (value, end)
                for key, (value, end) in self._values.items()
                if end is None or end > now
            }
            self._counts = {key: each for key, each in self._counts.items() if each[1] > now}
