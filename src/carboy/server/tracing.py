"""Whether requests are traced: if the application has configured OpenTelemetry.

It does so when it is imported, or in its lifespan, or later: in its first request, or in a thread.
Until then, nothing is imported and requests pay nothing: the leader looks once an interval.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from carboy.gateway.interface import Gateway
from carboy.server.observing import Observing

if TYPE_CHECKING:
    from carboy.server.engine import Engine
    from carboy.server.responder import Access

API = "opentelemetry.trace"


def traced(
    gateway: Gateway, access: Access | None, observing: Observing
) -> tuple[Gateway, Access | None]:
    """The gateway, and what gets the records of requests; both with spans if there is a tracer.

    Call this when the application has started.
    """
    if observing.tracing != "auto" or API not in sys.modules:
        return gateway, access
    from carboy.server import spans

    tracer = spans.tracer()
    if tracer is None:
        return gateway, access
    return spans.TracingGateway(gateway, tracer, observing), spans.SpanLog(access)


class LateTracing:
    """Traces requests from when the application has configured OpenTelemetry while it serves.

    Requests that run at that moment have no span. For the leader only.
    """

    def __init__(self, engine: Engine, observing: Observing) -> None:
        self._engine = engine
        self._observing = observing
        self._over = observing.tracing != "auto"

    def tick(self, now: float) -> None:
        """Begin to trace, if there is a tracer by now."""
        if self._over or API not in sys.modules:
            return
        engine = self._engine
        gateway, access = traced(engine.runner.gateway, engine.responder.access, self._observing)
        if gateway is not engine.runner.gateway:
            self._over = True
            engine.responder.report_to(access)
            engine.use(gateway)
