"""The admin server of a process without a supervisor: a thread serves it.

thread `carboy-admin`   the loop, and all calls of AloneOperations
other threads           answers to long questions, which come through `AdminServer.post`
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from carboy.net.threads import NoThread, start_thread
from carboy.relay import own
from carboy.server.admin.answering import Answering
from carboy.server.admin.listening import AdminSocket, announce, close_all
from carboy.server.admin.operations import About, Served, WorkerFacts
from carboy.server.admin.server import AdminServer
from carboy.server.admin.table import all_paths
from carboy.server.engine import Engine
from carboy.server.machine import resident
from carboy.server.metrics.totals import Totals
from carboy.server.processes.messages import Message
from carboy.server.readiness import Readiness
from carboy.server.scoreboard import Figure

log = logging.getLogger("carboy.error")

LONGEST_WAIT = 1.0  # seconds between two looks at what is overdue
PAUSE = 1.0  # seconds after a failure of the loop, which may fail again in the same way


class AloneOperations:
    """The Operations of a process that serves alone."""

    metrics: Totals
    restarts: Mapping[str, int] = MappingProxyType({})

    def __init__(
        self,
        engine: Engine,
        answering: Answering,
        served: Served,
        reload: Callable[[], object],
        readiness: Readiness,
    ) -> None:
        self._readiness = readiness
        self._engine = engine
        self._reload = reload
        self._answering = answering
        self._served = served
        self._started = time.time()
        self._born = time.monotonic()
        self.server: AdminServer

    def about(self) -> About:
        stopping = self._engine.stopping.asked is not None
        return self._served.about(
            started=self._started, supervised=False, stopping=stopping,
            draining=self._readiness.draining,
        )  # fmt: skip

    def channels(self) -> Mapping[str, int]:
        return own.figures()

    def workers(self) -> list[WorkerFacts]:
        engine = self._engine
        stopping = engine.stopping.asked is not None
        return [
            WorkerFacts(
                pid=os.getpid(),
                state="stopping" if stopping else "serving",
                age=round(time.monotonic() - self._born, 3),
                generation=0,
                connections=len(engine.connections),
                busy=int(engine.row.cells[Figure.BUSY]),
                silent=0.0,
                memory=resident(os.getpid()),
                asked=True,
            )
        ]

    def reload(self) -> None:
        self._reload()

    def scale(self, count: int) -> None:
        raise NotImplementedError

    def drain(self, worker: int, replace: bool, first: bool) -> None:
        raise NotImplementedError

    def remember_level(self, logger: str, level: str) -> None:
        pass  # there is no other worker

    def ask_for_stacks(self, worker: int) -> None:
        pass  # the thread that asks could not run either

    def take_stacks(self, worker: int) -> str:
        return ""

    def tell(self, worker: int, message: Message) -> None:
        self._answering.take(message, lambda answer: self.server.post(worker, answer))


class AloneAdmin:
    """The admin server on a thread, from `start` to `stop`; without sockets there is none."""

    def __init__(self, sockets: Sequence[AdminSocket], served: Served, metrics: Totals) -> None:
        self._metrics = metrics
        self._sockets = list(sockets)
        self._served = served
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._server: AdminServer | None = None

    def start(
        self,
        engine: Engine,
        answering: Answering,
        reload: Callable[[], object],
        readiness: Readiness,
    ) -> None:
        """Begin to answer. If no thread can be started, there is no admin server."""
        if not self._sockets:
            return
        operations = AloneOperations(engine, answering, self._served, reload, readiness)
        operations.metrics = self._metrics
        server = AdminServer(self._sockets, all_paths(), operations)
        operations.server = self._server = server
        thread = threading.Thread(
            target=self._run, args=(server,), name="carboy-admin", daemon=True
        )
        try:
            start_thread(thread)
        except NoThread as problem:
            log.warning("There is no admin server: %s", problem)
            self.stop()
            return
        self._thread = thread
        announce(self._sockets)

    def _run(self, server: AdminServer) -> None:
        while not self._over.is_set():
            try:
                now = time.monotonic()
                server.turn(max(0.0, min(LONGEST_WAIT, server.look(now) - now)))
            except Exception:
                log.exception("A bug in Carboy: the admin server has failed.")
                self._over.wait(PAUSE)

    def remove_files(self) -> None:
        """Remove the files of the sockets, before the process is ended at once."""
        for each in self._sockets:
            each.remove()

    def stop(self) -> None:
        """Stop the thread, close the sockets and remove their files."""
        self._over.set()
        if self._thread is not None and self._server is not None:
            self._server.wake()
            self._thread.join(PAUSE)
        if self._server is not None:
            self._server.close()
            self._server = None
        close_all(self._sockets)
        self._sockets = []
