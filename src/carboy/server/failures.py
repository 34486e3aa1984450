"""The lines of the error log about a request whose application has failed, and the page of it."""

from __future__ import annotations

from collections.abc import Iterator
from logging import ERROR, WARNING
from typing import TYPE_CHECKING

from carboy.gateway.interface import ChannelClosed
from carboy.server.identity import log_about

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange

FAILURE = "500 Internal Server Error"


def failure_text(exchange: ServerExchange) -> bytes:
    """The body of the response 500, with the id under which the log has the error."""
    text = f"{FAILURE}: the application failed; its log says how.\n"
    if exchange.shown_id:
        text += f"Request id: {exchange.shown_id}\n"
    return text.encode()


def log_failure(exchange: ServerExchange, error: BaseException | None) -> None:
    """Log an error of the application, which ends its response."""
    if exchange.span is not None:
        exchange.failure = error
    begun = exchange.head_begun
    log_about(
        exchange,
        ERROR,
        "The application failed%s: %s.",
        " after its response had begun, and the connection was cut" if begun else "",
        exchange.request_line(),
        exc_info=error,
    )


def log_late(exchange: ServerExchange, error: BaseException, gone: bool) -> None:
    """Log an error that came when nothing could be sent; `gone`: because the client had gone.

    An error that only says that the client has gone is not logged.
    """
    if exchange.span is not None:
        exchange.failure = error
    line = exchange.request_line()
    if not gone:
        text = "The application failed after its response was complete: %s."
        log_about(exchange, ERROR, text, line, exc_info=error)
    elif not any(isinstance(each, ChannelClosed) for each in causes(error)):
        text = "The application failed after its client had gone: %s: %s: %s."
        log_about(exchange, WARNING, text, line, type(error).__name__, error)


def log_wrong_length(exchange: ServerExchange) -> None:
    """Log a response whose body did not have the length that its head announced."""
    if exchange.connection.machine.short:
        text = "The response is shorter than its Content-Length. The connection is closed: %s."
    else:
        text = "The response is longer than its Content-Length. The rest was dropped: %s."
    log_about(exchange, ERROR, text, exchange.request_line())


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, the errors that led to it, and those in its groups."""
    found: BaseException | None = error
    for _ in range(32):  # contexts may form a circle
        if found is None:
            return
        yield found
        if isinstance(found, BaseExceptionGroup):
            for each in found.exceptions:
                yield from causes(each)
        found = found.__cause__ or found.__context__
