"""How many pools of memory the threads of a process share, if the C library is glibc.

glibc gives threads pools of their own ("arenas", up to eight for each processor), so that they do
not wait for each other. Each pool keeps memory that its threads have freed. The interpreter's lock
lets one thread allocate at a time, so more than two pools only keep more: the memory of a worker
then grows for as long as its threads take turns with large bodies.
"""

from __future__ import annotations

import os
import sys

POOLS = 2
# Bytes. A pool keeps up to KEPT at its end, and larger blocks do not come from pools. Without a
# value glibc changes it while the process runs. The page faults of a smaller one cost a third more
# processor time for bodies of a megabyte.
KEPT = 4_000_000
# malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
VARIABLES = ("MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


def limit_pools() -> bool:
    """Limit the pools of this process and its forks, and what each keeps; returns whether it has.

    Not if the C library is another one, if the interpreter has no lock, or if the environment sets
    one of the limits (VARIABLES, GLIBC_TUNABLES). Source: mallopt(3).
    """
    if not _has_glibc() or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    if "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(
        name in os.environ for name in VARIABLES
    ):
        return False
    try:
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, AttributeError):
        return False
    mallopt(M_TRIM_THRESHOLD, KEPT)
    mallopt(M_MMAP_THRESHOLD, KEPT)
    return bool(mallopt(M_ARENA_MAX, POOLS))


def _has_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, OSError, ValueError):  # another system, or another C library
        return False
