"""Everything that the admin server can know of a running server, and do with it; types only.

Below a supervisor this is supervised.py, without one alone.py.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from typing import Protocol

from carboy.server.dataclass import dataclass
from carboy.server.metrics.totals import Totals
from carboy.server.processes.messages import Message
from carboy.user_sockets import project


@dataclass(frozen=True, slots=True)
class About:
    """The server as a whole."""

    application: str
    addresses: tuple[str, ...]  # URLs
    folder: str  # of the project
    pid: int  # of the supervisor, or of the only process
    started: float  # seconds since the epoch
    supervised: bool
    target: int  # number of workers there should be
    stopping: bool
    draining: bool  # it stops soon, and is not ready (--drain-delay)
    reloading: bool
    ever_ready: bool
    reloads: int  # since the start
    failed_reloads: int  # of these: the new code could not be loaded
    threads: int  # of each worker
    development: bool  # `carboy dev`, which has one worker


@dataclass(frozen=True, slots=True)
class Served:
    """The application and its addresses, for `About`."""

    application: str = ""
    addresses: tuple[str, ...] = ()
    threads: int = 0
    development: bool = False

    def about(
        self, *, started: float, supervised: bool, target: int = 1, stopping: bool = False,
        reloading: bool = False, ever_ready: bool = True, reloads: int = 0,
        failed_reloads: int = 0, draining: bool = False,
    ) -> About:  # fmt: skip
        """The server with this state."""
        return About(
            application=self.application, addresses=self.addresses, folder=str(project()),
            pid=os.getpid(), threads=self.threads, started=started, supervised=supervised,
            target=target, stopping=stopping, reloading=reloading, ever_ready=ever_ready,
            reloads=reloads, failed_reloads=failed_reloads,
            draining=draining, development=self.development,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """A worker as others see it, without asking it."""

    pid: int
    state: str  # starting, serving, stopping
    age: float  # seconds
    generation: int
    connections: int
    busy: int  # requests that run or wait for a thread
    silent: float | None  # seconds since it last ran Python code; None: it does not show that
    memory: int | None  # bytes that are resident
    asked: bool  # whether it can be asked: it has loaded the application
    requests: list[tuple[str, float]] = field(default_factory=list)  # on its threads: line, seconds
    last_read: str = ""  # the request that was read last


class Operations(Protocol):
    """Called by the thread of the admin server only. No call blocks."""

    metrics: Totals  # of all workers

    @property
    def restarts(self) -> Mapping[str, int]:
        """Workers that were replaced, by reason."""
        ...

    def channels(self) -> Mapping[str, int]:
        """The figures of the relay of channels; empty without one."""
        ...

    def about(self) -> About: ...

    def workers(self) -> list[WorkerFacts]: ...

    def tell(self, worker: int, message: Message) -> None:
        """Send a question; the answer comes to `Questions.answered`."""
        ...

    def reload(self) -> None:
        """Load the application again, as SIGHUP does."""
        ...

    def scale(self, count: int) -> None:
        """Have so many workers. Only with a supervisor."""
        ...

    def drain(self, worker: int, replace: bool, first: bool) -> None:
        """Have a worker finish and end. `first`: when the one that replaces it is ready."""
        ...

    def remember_level(self, logger: str, level: str) -> None:
        """Set the level of a logger in workers that start later, too."""
        ...

    def ask_for_stacks(self, worker: int) -> None:
        """Have a worker that runs no Python code write its stacks."""
        ...

    def take_stacks(self, worker: int) -> str:
        """The stacks that it has written."""
        ...
