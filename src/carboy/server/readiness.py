"""Whether this worker is ready: for load balancers, which send it no requests while it is not.

    ready      the application is loaded, its checks pass, and the worker is not about to stop

The checks of a Carboy application (`@app.ready`) run on a thread each (`carboy-ready`), every
INTERVAL seconds, and never on the thread that reads requests. A check that takes longer than its
limit counts as failed, and is not begun again before it ends. So a question is answered at once
from the last results, on any thread.

    a thread of a check   writes `began`, then `failure` and `ended`, of its own check
    any thread            reads them; an attribute is read and written in one step
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from carboy.gateway.mounts import Mounts
from carboy.gateway.worker_hooks import ready_checks_of

log = logging.getLogger("carboy.error")

INTERVAL = 2.0  # seconds between two calls of a check


class _Check:
    """One check, and its last result."""

    def __init__(self, name: str, timeout: float, call: Callable[[], Any]) -> None:
        self.name = name
        self.timeout = timeout
        self._call = call
        self.began = 0.0  # monotonic seconds of a call that runs; 0.0: none does
        self.failure: str | None = "has not run yet"
        self._logged = False

    def run(self) -> None:
        """Call the check, and note and log how it ends."""
        self.began = time.monotonic()
        try:
            failure = _failure(self._call())
        except Exception as error:
            failure = f"{type(error).__name__}: {error}".rstrip(": ")
        if time.monotonic() - self.began > self.timeout:
            failure = failure or f"took more than {self.timeout:g} s"
        self.failure = failure
        self.began = 0.0
        if failure is not None and not self._logged:
            log.warning("This worker is not ready: %s: %s.", self.name, failure.rstrip("."))
        elif failure is None and self._logged:
            log.info("The check %s passes again.", self.name)
        self._logged = failure is not None

    def reason(self) -> str | None:
        """The reason why the worker is not ready; None if the check passes."""
        began = self.began
        if began and time.monotonic() - began > self.timeout:
            return f"{self.name}: has not ended within {self.timeout:g} s"
        failure = self.failure
        return None if failure is None else f"{self.name}: {failure}"


def _failure(result: object) -> str | None:
    """The failure that the result of a check means: False, or a text that says why."""
    if result is False:
        return "returned False"
    return result if isinstance(result, str) and result else None


class Readiness:
    """The readiness of this worker."""

    def __init__(self) -> None:
        self.draining = False  # a stop is near (--drain-delay)
        self.stopping: Callable[[], bool] = lambda: False
        self._checks: list[_Check] = []

    def take_checks(self, application: Any) -> None:
        """Take the checks of an application, or of all applications that are mounted."""
        mounted = isinstance(application, Mounts)
        apps = [each.app for each in application.all()] if mounted else [application]
        self._checks = [_Check(*each) for app in apps for each in ready_checks_of(app)]

    def start(self) -> None:
        """Begin to run the checks."""
        for check in self._checks:
            thread = threading.Thread(
                target=self._watch, args=(check,), name="carboy-ready", daemon=True
            )
            try:
                thread.start()
            except (RuntimeError, MemoryError):
                check.failure = "has no thread to run on"

    def _watch(self, check: _Check) -> None:
        pause = threading.Event()
        while True:
            check.run()
            pause.wait(INTERVAL)

    def reasons(self) -> list[str]:
        """The reasons why this worker is not ready; empty if it is."""
        if self.draining or self.stopping():
            return ["the server is about to stop"]
        return [reason for check in self._checks if (reason := check.reason()) is not None]
