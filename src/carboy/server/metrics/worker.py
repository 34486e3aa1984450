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
from carboy.server.metrics.statsd import look_up, numeric

if TYPE_CHECKING:
    from carboy.server.engine import Engine

log = logging.getLogger("carboy.error")

INTERVAL = 1.0  # seconds between two reports
LOOK_UP_AGAIN, LOOK_UP_RETRY = 60.0, 5.0  # seconds

Message = dict[str, Any]


class WorkerMetrics:
    """Counts for a worker; `log` gets each record of a request after it was counted."""

    def __init__(
        self, settings: MetricsSettings, log: Callable[[Record], None] | None = None
    ) -> None:
        self._settings = settings
        self.requests = RequestCounts(settings.buckets, settings.metrics_routes, log)
        self.send: Callable[[Message], object] = lambda report: None
        self.after_report: Callable[[], object] = lambda: None
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
        place = self._settings.statsd_place
        if place is not None and numeric(*place) is None:
            self._start(self._look_up, place[0])
        self._start(self._run)

    def _start(self, function: Callable[..., object], *arguments: Any) -> None:
        thread = threading.Thread(
            target=function, args=arguments, name="carboy-metrics", daemon=True
        )
        try:
            start_thread(thread)
        except NoThread as problem:
            log.warning("What is counted is not reported once a second: %s", problem)

    def _look_up(self, host: str) -> None:
        """Report the address of the statsd server, again and again, because it may change."""
        while True:
            found = look_up(host)
            if found is not None:
                self.send({"metrics": {"statsd": found}})
            if self._over.wait(LOOK_UP_AGAIN if found else LOOK_UP_RETRY):
                return

    def _run(self) -> None:
        while not self._over.wait(INTERVAL):
            try:
                self.report()
                self.after_report()
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
