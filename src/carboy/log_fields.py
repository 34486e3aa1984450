"""`request_id`, `trace_id` and `span_id` of each record of `logging`; "-" outside of a request.

The fields are set in `Logger.handle`, which is called for the records of all loggers before
filters, handlers and formatters see them. A record factory would be replaced by the factory of an
application, and with it a call with `extra={"request_id": …}` would raise KeyError. What an
application or its factory has set itself is left as it is.
"""

from __future__ import annotations

import logging
from typing import Any

from carboy.request_identity import identity

OUTSIDE = "-"
_handle = logging.Logger.handle


def install() -> None:
    """Have all records get the fields, from now on in this process."""
    if logging.Logger.handle is _handle:
        logging.Logger.handle = handle  # type: ignore[method-assign]


def handle(self: logging.Logger, record: logging.LogRecord) -> None:
    """`Logger.handle` with the fields."""
    attributes = vars(record)
    for name, value in fields_of(current()).items():
        attributes.setdefault(name, value)
    _handle(self, record)


def current() -> Any:
    """The identity of the current request, or None."""
    try:
        return identity()
    except Exception:  # a record is written in any case
        return None


def fields_of(found: Any) -> dict[str, str]:
    """The fields of an identity; None: there is no request."""
    try:
        if found is not None:
            trace = found.trace
            return {"request_id": found.id, "trace_id": trace.trace_id, "span_id": trace.span_id}
    except Exception:  # such as a request class of the application that has an `id` of its own
        pass
    return {"request_id": OUTSIDE, "trace_id": OUTSIDE, "span_id": OUTSIDE}
