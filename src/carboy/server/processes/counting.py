"""The counts of a worker: what takes the record of each request before the access log does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from carboy.server import systemd
from carboy.server.metrics.statsd import Statsd, statsd_of
from carboy.server.metrics.totals import Totals
from carboy.server.metrics.worker import WorkerMetrics
from carboy.server.settings import Settings
from carboy.server.tally import Access, counted

if TYPE_CHECKING:
    from carboy.server.engine import Engine
    from carboy.server.processes.link import SupervisorLink


class Counting:
    """Metrics if there is an admin server, and a tally if the supervisor wants to know numbers.

    `access` gets the records of the engine; it is the access log itself if nothing is counted.
    """

    def __init__(self, settings: Settings, totals: Totals | None = None) -> None:
        self.totals = totals or Totals()  # of a process without a supervisor
        self._statsd: Statsd | None = None  # the same
        self.metrics: WorkerMetrics | None = None
        self.access: Access | None = None
        self._settings = settings

    def begin(self, link: SupervisorLink | None, log: Access | None) -> None:
        """The application is loaded: decide what is counted before `log` gets a record."""
        settings = self._settings
        self.access = log
        if link is not None:
            limits = settings.worker_limits
            counts = limits.counts_requests() or systemd.wants_status()
            memory = limits.max_memory
            self.access = counted(link.row, log, counts, memory)
        wanted = settings.operation.wanted or settings.metrics.statsd
        if settings.metrics.metrics and wanted:
            self.metrics = WorkerMetrics(settings.metrics, self.access)
            self.metrics.send = self._take if link is None else link.send
            if link is None:
                self._statsd = statsd_of(settings.metrics, self.totals)
            if self._statsd is not None:
                self.metrics.after_report = self._statsd.look
            self.access = self.metrics.requests

    def _take(self, report: dict[str, Any]) -> None:
        self.totals.add(os.getpid(), report["metrics"])

    def start(self, engine: Engine, gateway: Any) -> None:
        """The engine is about to serve."""
        if self.metrics is not None:
            self.metrics.start(engine, gateway)

    def stop(self) -> None:
        """The engine has ended."""
        if self.metrics is not None:
            self.metrics.stop()
        if self._statsd is not None:
            self._statsd.close()
