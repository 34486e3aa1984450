"""The pools of memory that the threads of a process share, if the C library is glibc.

glibc gives threads pools of their own ("arenas", up to eight for each processor), so that they do
not wait for each other. Each pool keeps memory that its threads have freed. The interpreter's lock
lets one thread allocate at a time, so more than two pools only keep more: the memory of a worker
then grows for as long as its threads take turns with large bodies. What two pools still keep is
given back from time to time.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable

# Bound here: an application may replace those of the module.
from time import monotonic

POOLS = 2
# Bytes. A pool keeps up to KEPT at its end, and larger blocks do not come from pools. Without a
# value glibc changes it while the process runs. The page faults of a smaller one cost a third more
# processor time for bodies of a megabyte.
KEPT = 4_000_000
GROWN = 4 * 1024 * 1024  # bytes that the process has to grow by before its pools are trimmed
PAUSE, SHARE = 60.0, 1000
# malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
VARIABLES = ("MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


def limit_pools() -> bool:
    """Limit the pools of this process and its forks, and what each keeps; returns whether it has.

    Not if the C library is another one, if the interpreter has no lock, or if the environment sets
    one of the limits (VARIABLES, GLIBC_TUNABLES). Source: mallopt(3).
    """
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    if "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(
        name in os.environ for name in VARIABLES
    ):
        return False
    mallopt = _function("mallopt")
    if mallopt is None:
        return False
    mallopt(M_TRIM_THRESHOLD, KEPT)
    mallopt(M_MMAP_THRESHOLD, KEPT)
    return bool(mallopt(M_ARENA_MAX, POOLS))


class PoolTrimmer:
    """Gives free memory inside the pools back to the system when the process has grown.

    What is freed between blocks in use stays with the process otherwise, so a worker that handles
    large bodies grows for hours. While a pool is trimmed, threads that allocate from it wait: some
    milliseconds for 50 MB. So the pools are trimmed at most once in PAUSE seconds, and for at most
    one SHARE-th of the time. One thread uses a trimmer: that of the heartbeat.
    """

    def __init__(self, trim: Callable[[], object] | None = None) -> None:
        self._trim = trim or find_trim()
        self._least = math.inf  # bytes: the least resident memory since the pools were trimmed
        self._next = 0.0  # monotonic seconds: not before

    def look(self, now: float, resident: float) -> None:
        """Trim the pools if this is worth it; `resident` is the memory of the process in bytes."""
        self._least = min(self._least, resident)
        if self._trim is None or now < self._next or resident < self._least + GROWN:
            return
        began = monotonic()
        self._trim()
        self._next = now + max(PAUSE, SHARE * (monotonic() - began))
        self._least = math.inf


def find_trim() -> Callable[[], object] | None:
    """malloc_trim(3) for all pools; None without it."""
    trim = _function("malloc_trim")
    return None if trim is None else lambda: trim(0)


def _function(name: str) -> Callable[..., int] | None:
    """A function of glibc, which runs without the interpreter's lock."""
    if not _has_glibc():
        return None
    try:
        import ctypes

        return getattr(ctypes.CDLL(None), name)  # type: ignore[no-any-return]
    except (ImportError, OSError, AttributeError):
        return None


def _has_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, OSError, ValueError):  # another system, or another C library
        return False
