"""Keeps one certificate valid, in a thread of each process that serves.

Every worker has the thread, and a lock of the state folder lets one of them work. So a worker that
is replaced or killed hands the work on, the supervisor keeps its single thread, and two servers
with the same folder order once. Other processes load the certificate when its file changes.

    every LOOK seconds   take the lock ─▶ order when it is time, or when `carboy certs renew` asks

An order that a stop interrupts stays in the store, and the next process continues it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from carboy.acme import renewal
from carboy.acme.problems import AcmeError, Stopped
from carboy.acme.settings import AcmeSettings
from carboy.acme.store import StateError, Status, Store
from carboy.acme.temporary import issued
from carboy.net.x509 import Certificate

log = logging.getLogger("carboy.error")

LOOK = 1.0  # seconds
AFTER_A_BUG = 3600.0  # seconds
DAY = 24 * 3600.0
URGENT = 3.0  # days left from which a failure is an error


class Keeper:
    """Orders and renews beside an engine, with the challenges `kinds` that its ports can answer.

    `changed` is called in the thread when a new certificate has been saved.
    """

    def __init__(
        self,
        settings: AcmeSettings,
        kinds: tuple[str, ...],
        changed: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.kinds = kinds
        self.store = Store(settings.state)
        self._name = settings.names[0]
        self._changed = changed
        self._clock = clock
        self._stop = threading.Event()
        self._lock = self.store.lock(self._name)
        self._status = Status()
        self._certificate: Certificate | None = None
        self._complained = False  # that the lock cannot be taken

    def start(self) -> None:
        """Begin, in a thread that does not keep the process from ending."""
        threading.Thread(target=self._run, name="carboy-acme", daemon=True).start()

    def stop(self) -> None:
        """End soon. The lock is free when the thread has ended, or with the process."""
        self._stop.set()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    self.turn()
                except Stopped:
                    break
                except Exception:
                    # The thread has to go on: without it, the certificate would expire.
                    log.exception("The certificate of %s: a bug in Carboy.", self._name)
                    self._stop.wait(AFTER_A_BUG)
                self._stop.wait(LOOK)
        finally:
            self._lock.release()

    def turn(self) -> None:
        """Do what is due now. Raises Stopped."""
        if not self._lock.held and not self._take_lock():
            return
        now = self._clock()
        request = self.store.asked(self._name)
        if request == self._status.answered:
            request = ""  # its file could not be removed
        if request or now >= renewal.due(self._status, self._certificate, self.settings.names):
            self._attempt(request)
        elif self._certificate is not None and now >= self._status.ask_at:
            self._ask_for_window(now)

    def _take_lock(self) -> bool:
        """Whether this process does the work now."""
        try:
            if not self._lock.take():
                return False
        except OSError as problem:
            if not self._complained:
                self._complained = True
                log.error(
                    "%s cannot be used: %s. No certificate is ordered. Correct the permissions, or"
                    " use another folder with --state.",
                    self.store.folder(self._name), problem.strerror,
                )  # fmt: skip
            return False
        self._status = self.store.status(self._name)
        self._certificate = issued(self.store.certificate(self._name))
        if self._status.directory != self.settings.directory:
            # What another authority has said about limits and renewal does not count here.
            self._status = Status(kind=self._status.kind, answered=self._status.answered)
        return True

    # --- an order

    def _attempt(self, request: str) -> None:
        status = replace(self._status, names=self.settings.names, directory=self.settings.directory)
        try:
            kind = self._obtain()
        except (AcmeError, StateError) as problem:
            status = self._failed(status, problem)
        except Stopped:
            raise
        except Exception:
            log.exception("The certificate of %s was not ordered: a bug in Carboy.", self._name)
            status = self._failed(status, AcmeError("A bug in Carboy; the error log has it."))
        else:
            status = self._succeeded(status, kind)
        self._save(replace(status, answered=request or status.answered))
        # Only now: if this process is stopped or killed, the next one carries the request out.
        if request and self.store.asked(self._name) == request:
            self.store.forget_request(self._name)

    def _obtain(self) -> str:
        from carboy.acme.attempt import obtain

        worked = self._status.kind
        kinds = tuple(sorted(self.kinds, key=lambda each: each != worked))
        return obtain(self.settings, self.store, kinds, self._pause, self._certificate is not None)

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def _succeeded(self, status: Status, kind: str) -> Status:
        now = self._clock()
        self._certificate = found = issued(self.store.certificate(self._name))
        self._changed()
        status = renewal.succeeded(replace(status, kind=kind or status.kind, ask_at=0.0), now)
        if found is None:
            return status
        status = replace(status, renew_at=renewal.renewal_time(found))
        log.info(
            "The certificate for %s is in use until %s. It is renewed from %s on. File: %s",
            ", ".join(found.names), renewal.moment(found.ends.timestamp()),
            renewal.moment(status.renew_at), self.store.certificate(self._name),
        )  # fmt: skip
        return status

    def _failed(self, status: Status, problem: AcmeError | StateError) -> Status:
        now = self._clock()
        known = problem if isinstance(problem, AcmeError) else AcmeError()
        status = renewal.failed(
            status, now, str(problem), unreachable=known.unreachable,
            rate_limited=known.rate_limited, retry_at=known.retry_at,
        )  # fmt: skip
        left, serious = self._in_use(now)
        told = " The authority refuses attempts before then." if status.told else (
            f" To make it at once: {self.settings.renew_command()}."
        )  # fmt: skip
        log.log(
            logging.ERROR if serious else logging.WARNING,
            "No new certificate for %s. %s %s The next attempt is made at %s.%s",
            ", ".join(self.settings.names), problem, left, renewal.moment(status.retry_at), told,
        )  # fmt: skip
        return status

    def _in_use(self, now: float) -> tuple[str, bool]:
        """A sentence about the certificate in use, and whether its state is serious."""
        if self._certificate is None:
            return "Clients get a temporary certificate, which they do not trust.", True
        ends = self._certificate.ends.timestamp()
        if ends <= now:
            return f"The old certificate expired at {renewal.moment(ends)}.", True
        text = f"The old certificate stays in use and expires at {renewal.moment(ends)}."
        return text, ends - now < URGENT * DAY

    def _save(self, status: Status) -> None:
        """Keep the status, in memory at least."""
        self._status = status
        try:
            self.store.save_status(self._name, status)
        except StateError as problem:
            log.error("%s", problem)

    # --- renewal information

    def _ask_for_window(self, now: float) -> None:
        from carboy.acme.attempt import window

        assert self._certificate is not None
        try:
            found, retry_at = window(self.settings, self.store)
        except AcmeError as problem:
            log.info("The authority was not asked when to renew. %s", problem)
            found, retry_at = None, problem.retry_at
        before = self._status.renew_at
        at = renewal.renewal_time(self._certificate, found)
        if found is not None and abs(at - before) > 1:
            why = f" Its reason: {found.explanation}" if found.explanation else ""
            log.info(
                "%s wants the certificate of %s to be renewed at %s.%s",
                self.settings.authority, self._name, renewal.moment(at), why,
            )  # fmt: skip
        ask_at = renewal.next_question(now, retry_at)
        self._save(replace(self._status, renew_at=at, ask_at=ask_at))
