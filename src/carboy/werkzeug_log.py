"""Lines on the logger `werkzeug`: messages of the development server and the developer's tools.

Applications silence and redirect that logger by name, and tools read its lines.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

LOGGER = "werkzeug"
_logger: logging.Logger | None = None


class _ColorStreamHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error; terminals show the colours that the messages contain."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)


def _has_level_handler(logger: logging.Logger) -> bool:
    """Whether a handler of this logger or of a parent handles its effective level."""
    level = logger.getEffectiveLevel()
    current: logging.Logger | None = logger
    while current is not None:
        if any(handler.level <= level for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


def _log(type: str, message: str, *args: Any, **kwargs: Any) -> None:
    """Log a message; without a configured handler it is written to standard error.

    The first message decides level and handler; afterwards they belong to the application.
    """
    global _logger
    if _logger is None:
        _logger = logging.getLogger(LOGGER)
        if _logger.level == logging.NOTSET:
            _logger.setLevel(logging.INFO)
        if not _has_level_handler(_logger):
            _logger.addHandler(_ColorStreamHandler())
    getattr(_logger, type)(message.rstrip(), *args, **kwargs)
