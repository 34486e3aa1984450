"""GET /metrics of the admin server: the sums of all workers, in a format of Prometheus."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Any

from carboy.server.admin.call import Ask, Call, Reply, Steps
from carboy.server.admin.operations import Operations
from carboy.server.admin.status import described
from carboy.server.metrics import text

PATIENCE = 2.0  # seconds for the gauges of the workers; a scrape waits for ten


def metrics(call: Call, operations: Operations) -> Steps:
    """GET /metrics. A worker that does not answer has no gauges, and its sums are a second old."""
    answers = yield Ask("metrics", seconds=PATIENCE)
    gauges = {each.worker: each.value["gauges"] for each in answers.values() if each.value}
    families = operations.metrics.families(gauges, own_figures(operations))
    openmetrics = text.wants_openmetrics(call.accept)
    return Reply(
        content=text.content(families, openmetrics),
        media_type=text.OPENMETRICS if openmetrics else text.PLAIN,
    )


def own_figures(operations: Operations) -> Iterator[tuple[str, Any, float]]:
    """The figures that are known without asking a worker: name, labels and value."""
    about = operations.about()
    states = dict.fromkeys(("starting", "serving", "stopping"), 0)
    for worker in operations.workers():
        states[worker.state] += 1
    for state, count in states.items():
        yield "carboy_workers", (("state", state),), count
    for reason, count in sorted(operations.restarts.items()):
        yield "carboy_worker_restarts", (("reason", reason),), count
    yield "carboy_reloads", (), about.reloads
    for name, value in operations.channels().items():
        yield f"carboy_channel_{name}", (), value
    yield "carboy_start_time_seconds", (), about.started
    versions = (("version", described(about)["carboy"]), ("python", platform.python_version()))
    yield "carboy_build", versions, 1
