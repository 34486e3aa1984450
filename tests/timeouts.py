"""The end of tests that hang. pytest-timeout raises an exception in a test after `timeout` seconds.

The exception ends what waits at that moment. If the test then waits again without a deadline, for
example at the end of a `with` block, another exception follows after as many seconds.

A worker of pytest-xdist waits for its next test between two tests, where pytest-timeout is off. It
waits for as long as the controller's message takes, which is a moment; if a message is lost, or the
thread that reads messages has ended, the worker would wait without an end. Then the process writes
all stacks and ends, as it does for a test that takes longer than `faulthandler_timeout`.

A worker that has ended is not replaced: with `--dist loadgroup`, pytest-xdist 3.8 gives the new one
a single test and waits for it, while the new one waits for a second test before it begins. The run
fails instead.

pytest-timeout looks at the frames of all threads first. With Python 3.11, a garbage collection at
that moment can stop the process (carboy/thread_frames.py), so it is kept from beginning.
"""

from __future__ import annotations

import faulthandler
import gc
import signal
import time
from collections.abc import Generator
from typing import Any

import _pytest.faulthandler
import pytest
import pytest_timeout  # type: ignore[import-untyped]
from _pytest.faulthandler import fault_handler_stderr_fd_key


def pytest_configure(config: Any) -> None:
    """Have pytest-xdist replace no worker, unless the command line says how many."""
    if getattr(config.option, "maxworkerrestart", "") is None:
        config.option.maxworkerrestart = "0"
    _pytest.faulthandler.get_timeout_config_value = lambda config: 0.0  # see _limit_time


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(item: Any, settings: Any) -> Generator[None, Any, Any]:
    """Repeat the alarm that pytest-timeout sets."""
    result = yield
    seconds = settings.timeout
    if result and signal.getitimer(signal.ITIMER_REAL)[0]:
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Raise no exception in pytest itself while it describes a failure, which may take a while."""
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        return (yield)
    finally:
        if left:
            signal.setitimer(signal.ITIMER_REAL, left, interval)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: Any) -> Generator[None, Any, Any]:
    """Limit the time of a test, and that until a worker of pytest-xdist begins its next test."""
    _limit_time(item.config)
    result = yield
    _limit_time(item.config)
    return result


_limited = float("-inf")  # when the time was limited


def _limit_time(config: Any) -> None:
    """End the process after `faulthandler_timeout`, unless this is called again.

    A thread waits for that. To start and end one for each test takes a millisecond or more, so one
    that has just been started is kept.
    """
    global _limited
    seconds = float(config.getini("faulthandler_timeout") or 0)
    now = time.monotonic()
    if seconds and now - _limited > seconds / 100:
        _limited = now
        file = config.stash[fault_handler_stderr_fd_key]
        faulthandler.dump_traceback_later(seconds, file=file, exit=True)


def pytest_sessionfinish() -> None:
    """No further test is expected."""
    global _limited
    _limited = float("-inf")
    faulthandler.cancel_dump_traceback_later()


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
