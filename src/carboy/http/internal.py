"""Names of `werkzeug._internal` that others import all the same."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["_log", "_wsgi_decoding_dance", "_wsgi_encoding_dance"]


def _log(type: str, message: str, *args: Any, **kwargs: Any) -> None:
    """Log under the name `werkzeug`; to standard error if nobody has set up logging."""
    logger = logging.getLogger("werkzeug")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())
    getattr(logger, type)(message.rstrip(), *args, **kwargs)


def _wsgi_decoding_dance(s: str) -> str:
    """Text of a value in an environ, which carries octets as Latin-1 (PEP 3333)."""
    return s.encode("latin-1").decode(errors="replace")


def _wsgi_encoding_dance(s: str) -> str:
    """A value for an environ out of text."""
    return s.encode().decode("latin-1")
