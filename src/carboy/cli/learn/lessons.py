"""The course while it runs: the current exercise, the recorded connections and the progress.

The terminal and the page use the same object, on different threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from carboy.cli.learn.progress import ProgressFile
from carboy.cli.learn.recorder import Recorder
from carboy.dev.learn import exchanges
from carboy.dev.learn.assessment import Assessment, Finding
from carboy.dev.learn.course import EXERCISES
from carboy.dev.learn.exchanges import Seen, all_of
from carboy.dev.learn.exercise import Exercise, Verdict
from carboy.dev.learn.recording import Snapshot

MOST_FINDINGS = 50  # that are kept
NO_ETAG = '"(the ETag of the page)"'
NO_COOKIE = "session=(the value from Set-Cookie)"


class Lessons:
    """One learner's course."""

    def __init__(self, port: int, recorder: Recorder, file: ProgressFile) -> None:
        self.port = port
        self.progress = file.read()
        self.changed: Callable[[], object] = lambda: None  # called when an exercise is begun
        self.number = 0  # of the current exercise; 0: there is none
        self._findings: deque[tuple[int, int, Finding]] = deque(maxlen=MOST_FINDINGS)
        self._count = 0  # of all findings
        self._file = file
        self._recorder = recorder
        self._assessment: Assessment | None = None
        self._since = 0  # the last connection before the exercise was begun
        self._known: dict[int, tuple[int, float | None, Seen]] = {}
        self._lock = threading.RLock()

    @property
    def exercise(self) -> Exercise | None:
        """The current exercise."""
        return EXERCISES[self.number - 1] if self.number else None

    def begin(self, number: int) -> Exercise:
        """Begin an exercise; requests that were sent before no longer count."""
        with self._lock:
            self.number = number
            exercise = EXERCISES[number - 1]
            self._assessment = Assessment(exercise, self.progress)
            self._since = self._recorder.last_number
            self._known.clear()
            self.changed()
            return exercise

    def next_number(self) -> int:
        """The first exercise after the current one that is not done, else the first such one."""
        numbers = [*range(self.number + 1, len(EXERCISES) + 1), *range(1, self.number + 1)]
        open_ = (n for n in numbers if not self.progress.is_done(EXERCISES[n - 1]))
        return next(open_, min(self.number + 1, len(EXERCISES)))

    def look(self) -> None:
        """Add a finding if there is anything new; goals that are reached are saved."""
        with self._lock:
            found = self._assessment.look(self.seen()) if self._assessment else None
            if found is None:
                return
            self._count += 1
            self._findings.append((self._count, self.number, found))
            if found.reached:
                self._file.write(self.progress)

    def findings(self, after: int = 0) -> list[tuple[int, int, Finding]]:
        """The last findings, each with its number, and that of its exercise."""
        with self._lock:
            return [each for each in self._findings if each[0] > after]

    def verdicts(self) -> list[tuple[int, Verdict]]:
        """The goals that have not been reached before, each with its verdict now."""
        with self._lock:
            return self._assessment.verdicts(self.seen()) if self._assessment else []

    def question(self) -> tuple[int, str] | None:
        """The next question of the exercise."""
        with self._lock:
            found = self._assessment.question() if self._assessment else None
            return (found[0], found[1].text) if found else None

    def answer(self, number: int, text: str) -> Verdict:
        """Check an answer; a right one is saved."""
        with self._lock:
            if self._assessment is None or self.exercise is None:
                return Verdict(False, "Begin an exercise first.")
            if not 0 <= number < len(self.exercise.questions):
                return Verdict(False, "The exercise has no such question.")
            verdict = self._assessment.answer(number, text)
            if verdict.reached:
                self._file.write(self.progress)
            return verdict

    def is_done(self) -> bool:
        """Whether the current exercise is done."""
        return self.exercise is not None and self.progress.is_done(self.exercise)

    def example(self) -> tuple[str, str] | None:
        """Typed text that reaches the next goal, and the command after it."""
        with self._lock:
            exercise = self.exercise
            done = self.progress.goals_of(exercise) if exercise else set()
            goals = exercise.goals if exercise else ()
            left = [goal for n, goal in enumerate(goals) if n not in done] or list(goals)[-1:]
            if not left:
                return None
            text = left[0].example
            for name, value in self._values().items():
                text = text.replace("{" + name + "}", value)
            return text, left[0].then

    def _values(self) -> dict[str, str]:
        etag, cookie = NO_ETAG, NO_COOKIE
        for each in all_of(self.seen()):
            etag = each.response.get("ETag") or etag
            cookie = (each.response.get("Set-Cookie") or cookie).partition(";")[0]
        name, _, value = cookie.partition("=")
        changed = f"{name}={'f' if value[:1] != 'f' else 'g'}{value[1:]}"
        host = f"127.0.0.1:{self.port}"
        return {"host": host, "etag": etag, "cookie": cookie, "changed": changed}

    def is_busy(self) -> bool:
        """Whether the server has not completely answered a request."""
        return self._recorder.is_busy()

    def newest(self) -> Seen | None:
        """The connection from which bytes came last."""
        with self._lock:
            snapshots = self._recorder.connections()
        snapshots = [each for each in snapshots if each.moments]
        newest = max(snapshots, key=lambda each: each.moments[-1].at, default=None)
        return self._see(newest) if newest else None

    def connection(self, number: int) -> Seen | None:
        """A connection by its number."""
        found = (each for each in self._recorder.connections() if each.number == number)
        snapshot = next(found, None)
        return self._see(snapshot) if snapshot else None

    def seen(self) -> list[Seen]:
        """The connections since the exercise was begun."""
        with self._lock:
            return [self._see(each) for each in self._recorder.connections(self._since)]

    def _see(self, snapshot: Snapshot) -> Seen:
        known = self._known.get(snapshot.number)
        if known is not None and known[:2] == (len(snapshot.calls), snapshot.closed):
            return known[2]
        seen = exchanges.see(snapshot)
        self._known[snapshot.number] = len(snapshot.calls), snapshot.closed, seen
        return seen
