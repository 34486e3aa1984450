"""The end of tests that hang. pytest-timeout raises an exception in a test after `timeout` seconds.

The exception ends what waits at that moment. If the test then waits again without a deadline, for
example at the end of a `with` block, another exception follows after as many seconds.

pytest-timeout looks at the frames of all threads first. With Python 3.11, a garbage collection at
that moment can stop the process (carboy/thread_frames.py), so it is kept from beginning.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Generator
from typing import Any

import pytest
import pytest_timeout  # type: ignore[import-untyped]


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(item: Any, settings: Any) -> Generator[None, Any, Any]:
    """Repeat the alarm that pytest-timeout sets."""
    result = yield
    seconds = settings.timeout
    if result and signal.getitimer(signal.ITIMER_REAL)[0]:
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    return result


_dump_stacks = pytest_timeout.dump_stacks


def dump_stacks(terminal: Any) -> None:
    """Write the stacks of all threads while no collection can begin."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        _dump_stacks(terminal)
    finally:
        if enabled:
            gc.enable()


pytest_timeout.dump_stacks = dump_stacks
