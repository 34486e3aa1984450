"""A request that is being recorded: its clock, and the events that happen during it.

Events come from signals, log records and patched libraries, which do not name the request they
belong to. The context variable `current` holds its recording, so that requests on other threads are
not mixed up. A thread that runs in a copy of the request's context belongs to the request as well.

The clock never runs backwards, and it is the same for all threads: an event is added when it ends,
under a lock, at the latest time that any thread has read.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from carboy.dev.masking import masked_url
from carboy.dev.requests.busy_time import BusyTime
from carboy.dev.requests.fingerprint import fingerprint
from carboy.dev.requests.store import EVENTS, REPEATED, TEXT, Event, Record, Total

ERRORS = 20  # kept in addition to EVENTS
STATEMENTS = 1000  # different ones that are counted
Aside = Callable[[Callable[[], Any]], Any]

current: ContextVar[Recording | None] = ContextVar("carboy_dev_recording", default=None)


class Recording:
    """Adds events to `record` until it ends, and after that for threads that still run.

    `environ` is that of the request. `cost` gives the seconds that recording the calls has taken;
    they are not part of the request's time. `aside` calls a function without recording its calls.
    `changed` is called when an event is added after the end.
    """

    def __init__(
        self,
        record: Record,
        environ: dict[str, Any] | None = None,
        cost: Callable[[], float] = lambda: 0.0,
        aside: Aside = lambda work: work(),
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self.record = record
        self.environ = environ or {}
        self.aside = aside
        self.error: BaseException | None = None  # the last one that was noted
        self.templates: dict[int, tuple[float, str]] = {}  # being rendered: beginning and name
        self._cost = cost
        self._changed = changed
        self._started = time.perf_counter()
        self._lock = threading.RLock()
        self._latest = 0.0
        self._cost_so_far = 0.0
        self._ended = False
        self._busy: dict[str, BusyTime] = defaultdict(BusyTime)
        self._counts: Counter[str] = Counter()
        self._hits = 0
        self._statements: Counter[str] = Counter()

    def now(self) -> float:
        """Milliseconds since the request began, without the time that recording took."""
        found: float = self.aside(self._now)
        return found

    def _now(self) -> float:
        with self._lock:
            # The cost is an estimate that grows in steps; other threads do not know it.
            self._cost_so_far = max(self._cost_so_far, self._cost())
            elapsed = time.perf_counter() - self._started - self._cost_so_far
            self._latest = max(self._latest, round(elapsed * 1000, 3))
            return self._latest

    def note(
        self,
        kind: str,
        title: str,
        detail: str = "",
        began: float | None = None,
        ended: float | None = None,
        hit: bool = False,
    ) -> None:
        """Add an event, which ends now by default. Without `began`, it has no duration.

        `hit` is for a cache that had the value.
        """
        self.aside(lambda: self._note(kind, title, detail, began, ended, hit))

    def _note(
        self,
        kind: str,
        title: str,
        detail: str,
        began: float | None,
        ended: float | None,
        hit: bool,
    ) -> None:
        with self._lock:
            record, now = self.record, self._now() if ended is None else ended
            at = now if began is None else min(began, now)
            self._busy[kind].add(at, now)
            self._counts[kind] += 1
            self._hits += hit
            common = fingerprint(title[:TEXT]) if kind == "sql" else None
            if common and (common in self._statements or len(self._statements) < STATEMENTS):
                self._statements[common] += 1
            kept = len(record.events) < EVENTS + (ERRORS if kind == "error" else 0)
            if kept:
                took = round(now - at, 3)
                record.events.append(Event(at, kind, title[:TEXT], detail[:TEXT], took))
            else:
                record.left_out += 1
            if self._ended:
                self._sum_up()
                if kept:
                    self._changed()

    def cut_templates(self) -> None:
        """Add the templates whose end was not signalled, because of an exception."""
        for began, name in self.templates.values():
            self.note("template", name, "The template was not rendered to its end.", began)
        self.templates.clear()

    def end(self) -> None:
        """The response is complete."""
        self.cut_templates()
        with self._lock:
            # On the clock of the events, so that none of them is after the end.
            took = self._now() / 1000
            self.record.seconds = time.perf_counter() - self._started
            self.record.recording = self.record.seconds - took if self._cost_so_far else 0.0
            self._sum_up()
            self._ended = True

    def _sum_up(self) -> None:
        record = self.record
        # In the order in which they began; what is inside of an event comes after it.
        record.events.sort(key=lambda event: (event.at, -event.took))
        record.totals = {
            kind: Total(count, round(self._busy[kind].total, 3))
            for kind, count in self._counts.items()
        }
        record.hits = self._hits
        record.repeated = {
            common: count for common, count in self._statements.items() if count >= REPEATED
        }


@contextmanager
def recording_in(recording: Recording) -> Iterator[None]:
    """Within this context, events belong to `recording`."""
    before = current.get()
    current.set(recording)
    try:
        yield
    finally:
        current.set(before)


class Timed:
    """Calls of one kind, such as SQL statements: each is an event with its duration.

    A call inside of another is not an event: a statement of SQLAlchemy is also one of its driver,
    and a request of `requests` is also one of urllib3. With `nested`, it is.
    """

    def __init__(self, kind: str, nested: bool = False) -> None:
        self.kind = kind
        self._nested = nested
        self._inside: ContextVar[Recording | None] = ContextVar(f"carboy_dev_{kind}", default=None)

    def begin(self) -> Started | None:
        """The start of a call; None if it is not recorded."""
        recording = current.get()
        if recording is None or self._inside.get() is recording:
            return None
        if not self._nested:
            self._inside.set(recording)
        return Started(self, recording)

    @contextmanager
    def call(self, describe: Callable[[], tuple[str, str]]) -> Iterator[None]:
        """Record the body of a `with` statement. `describe` gives title and detail at its end."""
        started = self.begin()
        if started is None:
            yield
            return
        try:
            yield
        except BaseException as error:
            started.end(describe, error)
            raise
        started.end(describe)

    def leave(self) -> None:
        """Calls are recorded again in this context."""
        self._inside.set(None)


class Started:
    """A call that has begun."""

    def __init__(self, timed: Timed, recording: Recording) -> None:
        self._timed = timed
        self._recording = recording
        self._began = recording.now()

    def end(
        self,
        describe: Callable[[], tuple[str, str]],
        error: BaseException | None = None,
        hit: bool = False,
    ) -> None:
        """The call has returned, or raised `error`."""
        ended = self._recording.now()
        self._timed.leave()
        self._recording.aside(lambda: self._note(describe, error, ended, hit))

    def _note(
        self,
        describe: Callable[[], tuple[str, str]],
        error: BaseException | None,
        ended: float,
        hit: bool,
    ) -> None:
        try:
            title, detail = describe()
        except Exception as problem:  # an object of the application that cannot be shown
            title, detail = f"<its description raises {type(problem).__name__}>", ""
        if error is not None:
            first = masked_url(str(error).strip().partition("\n")[0])
            detail = f"{detail} {type(error).__name__}: {first}".strip(" :")
        self._recording.note(self._timed.kind, title, detail, self._began, ended, hit)
