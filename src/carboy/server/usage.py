"""What a handler uses of the processor: whether it computes, or waits for something else."""

from __future__ import annotations

import time

try:
    import resource

    _THREAD: int | None = getattr(resource, "RUSAGE_THREAD", None)
except ImportError:  # not on Windows
    _THREAD = None

# Seconds that this thread has computed, that all threads of the process have, and how often this
# thread has gone to sleep by itself (None where the system does not tell).
Usage = tuple[float, float, "int | None"]


def usage() -> Usage:
    """The figures of the calling thread; the difference of two is what a handler has used."""
    sleeps = None if _THREAD is None else resource.getrusage(_THREAD).ru_nvcsw
    return time.thread_time(), time.process_time(), sleeps


def used_by(thread: int, before: Usage) -> tuple[float, float] | None:
    """What another thread and the process have used since that thread took `before`."""
    try:
        clock = time.pthread_getcpuclockid(thread)
        return time.clock_gettime(clock) - before[0], time.process_time() - before[1]
    except (AttributeError, OSError):
        return None


def since(before: Usage) -> Usage:
    """What the calling thread has used since it took `before`."""
    own, all_threads, sleeps = usage()
    if sleeps is not None and before[2] is not None:
        sleeps -= before[2]
    return own - before[0], all_threads - before[1], sleeps
