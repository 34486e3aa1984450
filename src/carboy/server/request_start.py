"""X-Request-Start: when a proxy received a request, so that waiting in front of the server counts.

    1700000000123        milliseconds (Heroku)
    t=1700000000.123     seconds (nginx, `proxy_set_header X-Request-Start "t=${msec}"`)
    t=1700000000123456   microseconds (Apache, `RequestHeader set X-Request-Start "%t"`)

The field is read from trusted proxies only, and only for requests that wait or are recorded. A time
in the future, or more than LONGEST ago, is that of another clock: it says nothing.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from carboy.protocol.events import RequestHead

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange

NAME = b"x-request-start"
LONGEST = 600.0  # seconds that a request may have waited in front of the server
# The smallest number of each unit that is a time since 2001, and how many make a second
UNITS = ((1e18, 1e9), (1e15, 1e6), (1e12, 1e3), (1e9, 1.0))
_value = re.compile(r"(?:t=)?([0-9]{10,19}(?:\.[0-9]{1,9})?)", re.IGNORECASE).fullmatch


def read_start(text: str) -> float | None:
    """The time in a value, in seconds since the epoch; None: the value is not valid."""
    found = _value(text.strip())
    if found is None:
        return None
    number = float(found[1])
    for least, count in UNITS:
        if number >= least:
            return number / count
    return None


def waited(head: RequestHead, now: float) -> float:
    """Seconds since the proxy received the request; 0.0: not known. `now`: since the epoch."""
    if NAME not in head.block.lower():
        return 0.0
    values = [value for name, value in head.fields() if name.lower() == "x-request-start"]
    # The nearest proxy has written the last one.
    start = read_start(values[-1].rpartition(",")[2]) if values else None
    seconds = 0.0 if start is None else now - start
    return seconds if 0.0 < seconds <= LONGEST else 0.0


def before(exchange: ServerExchange) -> float:
    """Seconds that the request has waited before this server had it; 0.0: not known."""
    proxies = exchange.responder.forwarding.proxies
    if proxies.untouched or not proxies.peer(exchange.connection.peer):
        return 0.0
    since = exchange.arrived or exchange.queued_at or exchange.began
    return waited(exchange.head, time.time() - (time.monotonic() - since))


def queued_seconds(exchange: ServerExchange) -> float:
    """Seconds that the request has waited for a thread, here and in front of the server."""
    here = 0.0
    if exchange.queued_at and not exchange.arrived:
        here = max(0.0, exchange.began - exchange.queued_at)
    return here + before(exchange)
