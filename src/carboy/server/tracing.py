"""Whether requests are traced: if the application has configured OpenTelemetry.

It does so when it is imported, or in its lifespan. Otherwise nothing is imported, and requests pay
nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from carboy.gateway.interface import Gateway
from carboy.server.observing import Observing

if TYPE_CHECKING:
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
