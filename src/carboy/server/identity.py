"""The id and the trace of a request, made when they are first asked for.

Most requests are answered without them. Any thread may ask: the first value is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar, overload
from weakref import ref

from carboy.protocol.events import RequestHead
from carboy.request_identity import current
from carboy.trace_context import TraceContext, trace_of
from carboy.uuid7 import uuid7

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange

T = TypeVar("T")
log = logging.getLogger("carboy.error")


class made_once(Generic[T]):
    """An attribute that `make(exchange)` gives at the first access, from any thread."""

    def __init__(self, make: Callable[[ServerExchange], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, exchange: None, owner: type) -> made_once[T]: ...
    @overload
    def __get__(self, exchange: ServerExchange, owner: type | None = None) -> T: ...
    def __get__(
        self, exchange: ServerExchange | None, owner: type | None = None
    ) -> made_once[T] | T:
        if exchange is None:
            return self
        value: T = vars(exchange).setdefault(self._name, self._make(exchange))
        return value


def id_of(exchange: ServerExchange) -> str:
    """The id of the request: that of a trusted proxy, or a new UUID of version 7."""
    return exchange.responder.forwarding.request_id(exchange) or uuid7()


def trace_of_request(exchange: ServerExchange) -> TraceContext:
    """The span of the request in this server, in the trace that traceparent names, or a new one."""
    head = exchange.head
    return trace_of(values_of(head, b"traceparent"), values_of(head, b"tracestate"))


def values_of(head: RequestHead, name: bytes) -> list[str]:
    """The values of all fields with a name in lower case, which most requests do not have."""
    if name not in head.block.lower():
        return []
    return [value.decode("latin-1") for each, value in head.raw_fields() if each.lower() == name]


def log_about(
    exchange: ServerExchange,
    level: int,
    text: str,
    *values: object,
    exc_info: BaseException | None = None,
) -> None:
    """Log a line that has the id of a request, on a thread that may be outside of its context."""
    token = current.set(ref(exchange))
    try:
        log.log(level, text, *values, exc_info=exc_info, stacklevel=2)
    finally:
        current.reset(token)
