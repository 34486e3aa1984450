"""The metrics of one worker: counted here, and sent to where all workers are added up.

    once a second     `report`, on the thread `carboy-metrics`: what is new since the last report
    a question        `answer`, on a thread of its own: a report, then the gauges
    the end           `stop`: the rest

A report has differences only, and every report is added up (totals.py). So nothing is counted
twice, and a worker that is killed loses what it has counted within a second. A lock lets one thread
report at a time; the metrics of the application are collected under it, and may take long.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from carboy.net.threads import NoThread, start_thread
from carboy.server.logs.facts import Record
from carboy.server.metrics.client_registry import ClientRegistry
from carboy.server.metrics.figures import Collections, Differences, LoopLag, counters, gauges
from carboy.server.metrics.requests import RequestCounts
from carboy.server.metrics.settings import MetricsSettings

if TYPE_CHECKING:
    from carboy.server.engine import Engine

log = logging.getLogger("carboy.error")

INTERVAL = 1.0  # seconds between two reports

Message = dict[str, Any]


class WorkerMetrics:
    """Counts for a worker; `log` gets each record of a request after it was counted."""

    def __init__(
        self, settings: MetricsSettings, log: Callable[[Record], None] | None = None
    ) -> None:
        self.requests = RequestCounts(settings.buckets, settings.metrics_routes, log)
        self.send: Callable[[Message], object] = lambda report: None
        self._collections = Collections()
        self._lag = LoopLag()
        self._differences = Differences()
        self._registry = ClientRegistry()
        self._reporting = threading.Lock()
        self._over = threading.Event()
        self._engine: Engine | None = None
        self._gateway: Any = None

    def start(self, engine: Engine, gateway: Any) -> None:
        """The engine is about to serve. Without a thread, reports are made when asked for only."""
        self._engine, self._gateway = engine, gateway
        self._collections.start()
        try:
            start_thread(threading.Thread(target=self._run, name="carboy-metrics", daemon=True))
        except NoThread as problem:
            log.warning("What is counted is not reported once a second: %s", problem)

    def _run(self) -> None:
        while not self._over.wait(INTERVAL):
            try:
                self.report()
            except Exception:
                log.exception("A bug in Carboy: what was counted could not be reported.")

    def stop(self) -> None:
        """The engine has ended: report the rest."""
        self._over.set()
        self._collections.stop()
        self.report(asked=True)

    def report(self, asked: bool = False) -> None:
        """Send what has been counted since the last report; nothing if that is nothing."""
        with self._reporting:
            engine = self._engine
            if engine is None:
                return
            self._lag.ask()
            found = self.requests.take()
            report = {key: value for key, value in found.items() if value}
            changes = self._differences.take(counters(engine, self._gateway, self._collections))
            if changes:
                report["counters"] = changes
            application = self._registry.take(asked)
            if application:
                report["application"] = application
                report["whole"] = asked
            if report:
                report["buckets"] = self.requests.bounds
                self.send({"metrics": report})

    def answer(self, message: Message) -> Message:
        """The answer to a question of the admin server: the gauges, after a report."""
        self.report(asked=True)
        engine = self._engine
        if engine is None:
            return {}
        found = [list(each) for each in gauges(engine, self._gateway, self._lag)]
        return {"pid": os.getpid(), "gauges": found}
