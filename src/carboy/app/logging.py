"""The logger of an application. It gets a handler unless logging is configured."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

from carboy.app.globals import request
from carboy.http.local import LocalProxy
from carboy.log_fields import install
from carboy.werkzeug_log import _has_level_handler

if TYPE_CHECKING:
    from carboy.app.interface import Application

__all__ = ["create_logger", "default_handler", "has_level_handler", "wsgi_errors_stream"]


@LocalProxy
def wsgi_errors_stream() -> TextIO:
    """The error stream of the active request, or standard error."""
    if request:
        return request.environ["wsgi.errors"]  # type: ignore[no-any-return]
    return sys.stderr


def has_level_handler(logger: logging.Logger) -> bool:
    """Whether a handler of the logger or of its parents takes its messages."""
    return _has_level_handler(logger)


default_handler = logging.StreamHandler(wsgi_errors_stream)
default_handler.setFormatter(
    logging.Formatter("[%(asctime)s] %(levelname)s in %(module)s: %(message)s")
)


def create_logger(app: Application) -> logging.Logger:
    """The logger named after the application; its level is DEBUG in debug mode if unset."""
    install()
    logger = logging.getLogger(app.name)
    if app.debug and not logger.level:
        logger.setLevel(logging.DEBUG)
    if not has_level_handler(logger):
        logger.addHandler(default_handler)
    return logger
