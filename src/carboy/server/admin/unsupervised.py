"""The admin server of a server that a program runs itself, as `carboy dev --no-warm` does.

thread that serves      calls `counted` and `running`
any other thread        may call `remove_files`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from carboy.server.admin.alone import AloneAdmin
from carboy.server.admin.answering import questions_of_a_worker
from carboy.server.admin.listening import open_admin
from carboy.server.admin.operations import Served
from carboy.server.engine import Engine
from carboy.server.metrics.totals import Totals
from carboy.server.processes.counting import Counting
from carboy.server.readiness import Readiness
from carboy.server.settings import Settings
from carboy.server.tally import Access


class Unsupervised:
    """The admin server of one engine, and the counts that it shows.

    `reload` loads the application again; it raises Refused if that is not possible.
    """

    def __init__(self, served: Served, settings: Settings, reload: Callable[[], object]) -> None:
        totals = Totals(settings.metrics.metrics_routes)
        self._counting = Counting(settings, totals)
        self._admin = AloneAdmin(open_admin(settings.operation), served, totals)
        self._reload = reload

    def counted(self, log: Access | None) -> Access | None:
        """The function that takes the records of the engine, and passes them to `log`."""
        self._counting.begin(None, log)
        return self._counting.access

    @contextmanager
    def running(self, engine: Engine, gateway: Any, application: Any) -> Iterator[None]:
        """Answer the commands while the engine runs."""
        readiness = Readiness()
        readiness.take_checks(application)
        readiness.stopping = lambda: engine.stopping.asked is not None
        self._counting.start(engine, gateway)
        readiness.start()
        questions = questions_of_a_worker(engine, self._counting.metrics, readiness)
        self._admin.start(engine, questions, self._reload, readiness)
        try:
            yield
        finally:
            self._admin.stop()
            self._counting.stop()

    def remove_files(self) -> None:
        """Remove the files of the sockets, before the process is ended at once."""
        self._admin.remove_files()
