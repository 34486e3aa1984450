"""The jobs of `@app.every`, which one worker of the machine runs.

The supervisor elects one of its workers, and another one when that worker is told to stop or has
ended (server/processes/election.py). A worker without a supervisor is elected from the start.

There may be several servers of the same application, for example while a new version takes over
from an old one, and a worker that is told to stop may still run a job. So the elected worker takes
the lock of a file in the folder of the user before it begins. The file has, for each job, the time
at which it was last due. The kernel frees the lock when the worker ends, however it ends. A worker
that has lost the election gives it up when its jobs have ended.

The locks are those of POSIX: a child process of the application does not inherit them. A process
that closes a descriptor of the file loses its lock, so a process opens each file once.

thread            touches
carboy-every      everything, while it has the lock
a job             `_ended`, with the lock of the timetable
take over, leave  `_stopping`; the next thread begins with an event of its own
admin             reads the jobs
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextvars import Context
from pathlib import Path
from typing import Any

from carboy.app.plan import is_coroutine_function
from carboy.net.threads import NoThread, start_thread
from carboy.net.worker_jobs import Planned, jobs
from carboy.net.worker_loop import worker_loop
from carboy.user_sockets import folder, project

try:
    import fcntl
except ImportError:  # Windows, where a server has one worker
    fcntl = None  # type: ignore[assignment]
HAS_LOCKS: bool = fcntl is not None

LOOK = 1.0  # seconds between two looks at whether the timetable is to stop, while it waits
_files: dict[Path, tuple[int, threading.Lock]] = {}
_files_lock = threading.Lock()


Wanted = tuple[Callable[[], Any], float, bool]  # a function, seconds, whether it runs at the start


class Job:
    """A function and its interval in seconds."""

    def __init__(self, wanted: Wanted, number: int) -> None:
        self.function, self.seconds, self.at_start = wanted
        name = f"{self.function.__module__}.{self.function.__qualname__}"
        self.name = name if number == 1 else f"{name} ({number})"
        self.due = 0.0  # seconds of the clock
        self.runs = False


class Timetable:
    """Runs the jobs of an application, while this worker is the one that does so."""

    def __init__(self, app: Any, wanted: Iterable[Wanted]) -> None:
        self._app = app
        numbers: Counter[Any] = Counter()
        self._jobs: list[Job] = []
        for each in wanted:
            name = (each[0].__module__, each[0].__qualname__)
            numbers[name] += 1
            self._jobs.append(Job(each, numbers[name]))
        self._stopping = threading.Event()
        self._woken = threading.Condition()
        self._lock = FileLock(_path_of(app))

    def start(self) -> None:
        """Run the jobs while this worker is elected, until the jobs of the worker end."""
        jobs().when_elected(self._take_over, self._leave, self._planned)

    def _take_over(self) -> None:
        self._stopping = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(self._stopping,), name="carboy-every", daemon=True
        )
        try:
            start_thread(thread)
        except NoThread:
            self._app.logger.error("The jobs of this worker do not run: no thread can be started.")

    def _leave(self) -> None:
        self._stopping.set()
        with self._woken:
            self._woken.notify_all()

    def _planned(self) -> list[Planned]:
        if not self._lock.held:
            return []  # another server of this application runs the jobs
        now = time.time()
        planned = [job for job in self._jobs if job.due and not job.runs]
        return [(job.name, job.seconds, max(0.0, job.due - now)) for job in planned]

    def _run(self, stopping: threading.Event) -> None:
        try:
            if not self._lock.acquire(stopping):
                return
            try:
                self._plan()
                while not stopping.is_set():
                    self._run_due()
                    self._wait(stopping)
                self._await_jobs()
            finally:
                self._lock.release()
        except Exception:
            self._app.logger.exception("The timetable of this worker has ended.")

    def _await_jobs(self) -> None:
        """Another worker may take over when all jobs have ended."""
        with self._woken:
            while any(job.runs for job in self._jobs):
                self._woken.wait()

    def _plan(self) -> None:
        """Continue where the worker before has stopped; a new job is due after its interval."""
        before, now = self._lock.read(), time.time()
        for job in self._jobs:
            last = before.get(job.name)
            if last is None:
                job.due = now if job.at_start else now + job.seconds
            else:
                job.due = min(last, now) + job.seconds
        self._note(now)

    def _note(self, now: float) -> None:
        self._lock.write({job.name: min(job.due - job.seconds, now) for job in self._jobs})

    def _run_due(self) -> None:
        now = time.time()
        due = [job for job in self._jobs if job.due <= now and not job.runs]
        for job in due:
            job.runs = True
            job.due = now + job.seconds
        if due:
            self._note(now)
        for job in due:
            self._begin(job)

    def _wait(self, stopping: threading.Event) -> None:
        with self._woken:
            times = [job.due for job in self._jobs if not job.runs]
            left = min(times, default=time.time() + LOOK) - time.time()
            if left > 0 and not stopping.is_set():
                # Now and then, because the clock may be set.
                self._woken.wait(min(left, 60.0))

    def _begin(self, job: Job) -> None:
        if is_coroutine_function(job.function):
            token = object()
            jobs().began(token, job.name)
            loop = worker_loop()
            loop.call(self._begin_coroutine, loop, job, token)
        else:
            jobs().submit(job.name, lambda: self._call(job))

    def _begin_coroutine(self, loop: Any, job: Job, token: object) -> None:
        def done(task: Any) -> None:
            self._ended(job)
            jobs().ended(token)

        task = loop.run_request(self._await(job), Context())
        task.add_done_callback(done)

    async def _await(self, job: Job) -> None:
        try:
            with self._app.app_context():
                await job.function()
        except Exception as error:
            self._failed(job, error)

    def _call(self, job: Job) -> None:
        try:
            with self._app.app_context():
                job.function()
        except BaseException as error:
            self._failed(job, error)
        finally:
            self._ended(job)

    def _failed(self, job: Job, error: BaseException) -> None:
        self._app.logger.error(
            "The job %s failed. It runs again in %g s.", job.name, job.seconds, exc_info=error
        )

    def _ended(self, job: Job) -> None:
        with self._woken:
            job.runs = False
            self._woken.notify_all()


class FileLock:
    """The lock of a file that has a JSON object; without a path, nothing is locked or kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.held = False
        self._kept: dict[str, float] = {}

    def acquire(self, stopping: threading.Event) -> bool:
        """Wait for the lock; False if the timetable has been stopped meanwhile."""
        if self._path is None:
            self.held = True
            return True
        self._fd, inner = _opened(self._path)
        while not inner.acquire(timeout=LOOK):
            if stopping.is_set():
                return False
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
        except BaseException:
            inner.release()
            raise
        self.held = True
        if stopping.is_set():
            self.release()
            return False
        return True

    def release(self) -> None:
        """Give the lock up, if it is held."""
        if not self.held:
            return
        self.held = False
        if self._path is None:
            return
        fcntl.lockf(self._fd, fcntl.LOCK_UN)
        _opened(self._path)[1].release()

    def read(self) -> dict[str, float]:
        """The times in the file; damaged content counts as empty."""
        if self._path is None:
            return self._kept
        try:
            found = json.loads(os.pread(self._fd, 1 << 20, 0))
            return {str(name): float(value) for name, value in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def write(self, times: dict[str, float]) -> None:
        """Replace the content. A disk without room is not an error: the times are lost then."""
        if self._path is None:
            self._kept = times
            return
        data = json.dumps(times).encode()
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, data, 0)
        except OSError:
            pass


def _opened(path: Path) -> tuple[int, threading.Lock]:
    with _files_lock:
        if path not in _files:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
            _files[path] = os.open(path, flags, 0o600), threading.Lock()
        return _files[path]


def _path_of(app: Any) -> Path | None:
    """The file of an application: its project and its name decide."""
    if not HAS_LOCKS:
        return None
    name = f"{project()}\0{app.import_name}\0{app.root_path}"
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    try:
        path: Path = folder() / f"every-{digest}.json"
        return path
    except OSError as problem:
        app.logger.warning("Each worker runs the jobs of @app.every: %s", problem)
        return None


def _forget() -> None:
    """In a forked child, which has none of the locks of its parent."""
    global _files_lock
    _files_lock = threading.Lock()
    _files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
