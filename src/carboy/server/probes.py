"""Answers to probes at the address of the server (--livez, --readyz), without the application.

They need no thread: their dispatch key is known as quick, so the leader answers them, even when
all threads are busy. Only with --threads 1 they wait for the request that runs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from carboy.gateway.interface import Answer, Gateway

KEY = ("carboy", "probe")
OK, NOT_READY = "200 OK", "503 Service Unavailable"
HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]


class ProbeGateway:
    """Answers requests for the two paths, and passes others to the gateway `inner`.

    `reasons` returns why the worker is not ready.
    """

    def __init__(
        self, inner: Gateway, livez: str, readyz: str, reasons: Callable[[], list[str]]
    ) -> None:
        self._inner = inner
        self._prepare = inner.prepare
        self._reasons = reasons
        probes = {livez: self._live, readyz: self._ready}
        self._probes = {path: probe for path, probe in probes.items() if path}

    def __getattr__(self, name: str) -> Any:
        """The optional attributes of a gateway, such as `turn` and `start`: those of `inner`."""
        return getattr(self._inner, name)

    def prepare(self, exchange: Any) -> Hashable:
        """The dispatch key of the application, or that of all probes."""
        probe = self._probes.get(exchange.head.path)
        if probe is None:
            return self._prepare(exchange)
        exchange.probe = probe
        exchange.rule = "(probe)"
        return KEY

    def body_limit(self, exchange: Any) -> int | None:
        """As the application's gateway."""
        return None if exchange.probe else self._inner.body_limit(exchange)

    def wants_stream(self, exchange: Any) -> bool:
        """As the application's gateway; a probe is answered before its body has come."""
        return True if exchange.probe else self._inner.wants_stream(exchange)

    def answers_later(self, exchange: Any) -> bool:
        """As the application's gateway."""
        later = getattr(self._inner, "answers_later", None)
        return later is not None and not exchange.probe and bool(later(exchange))

    def handle(self, exchange: Any) -> Answer:
        """The answer of the application, or to a probe."""
        if exchange.probe is None:
            return self._inner.handle(exchange)
        answer: Answer = exchange.probe()
        return answer

    def _live(self) -> Answer:
        return OK, HEADERS.copy(), b"ok\n", None

    def _ready(self) -> Answer:
        reasons = self._reasons()
        text = "".join(f"{each}\n" for each in reasons or ["ready"])
        return NOT_READY if reasons else OK, HEADERS.copy(), text.encode(), None


def probed(gateway: Gateway, livez: str, readyz: str, reasons: Callable[[], list[str]]) -> Gateway:
    """`gateway` behind the probes, if one of the options is given."""
    return ProbeGateway(gateway, livez, readyz, reasons) if livez or readyz else gateway
