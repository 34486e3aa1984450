"""GET /top: everything that `carboy top` shows, in one response.

The workers report what they have counted before they answer, so the counts are those of now. They
are sums since the start, of which a client shows differences.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from carboy.server.admin.call import Ask, Call, Reply, Steps
from carboy.server.admin.operations import Operations
from carboy.server.admin.status import LONGEST, described, described_worker
from carboy.server.processes.messages import Message

if TYPE_CHECKING:
    from carboy.server.metrics.worker import WorkerMetrics

SECONDS = 1.0  # for the workers, if the request does not say otherwise


def top(call: Call, operations: Operations) -> Steps:
    """The server, its workers with their requests, and the counts of routes.

    `clock` is in seconds from any start, for differences; `time` in seconds since the epoch.
    `seconds` of the query is the time limit for workers. `counted`: whether requests are counted.
    """
    answers = yield Ask("top", seconds=call.number("seconds", SECONDS, LONGEST))
    workers = [described_worker(each, answers.get(each.pid)) for each in operations.workers()]
    bounds, routes = operations.metrics.routes()
    return Reply(
        {
            "time": time.time(),
            "clock": time.monotonic(),
            "server": described(operations.about()),
            "counted": bool(bounds) or any(each.get("counts") for each in workers),
            "bounds": bounds,
            "routes": [asdict(each) for each in routes],
            "workers": workers,
        }
    )


def answer(
    metrics: WorkerMetrics | None, status: Callable[[], dict[str, Any]]
) -> Callable[[Message], dict[str, Any]]:
    """A worker's answer: `status`, after it has reported what it has counted."""

    def answers(message: Message) -> dict[str, Any]:
        if metrics is not None:
            metrics.report()
        return {**status(), "counts": metrics is not None}

    return answers
