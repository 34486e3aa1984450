"""The debugger's page for exceptions that a framework logs and answers itself.

A framework that answers an exception with its own 500 page does not raise it, so the debugger does
not see it. But frameworks log it, with the exception. `LoggedErrors` is put between the debugger
and the application and raises the exception that was logged, if the response has the status of an
error and is for a browser.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# The exceptions that the current request has logged. The list is shared by the tasks and threads
# that run in copies of the context of the request.
_logged: ContextVar[list[BaseException] | None] = ContextVar("carboy_dev_logged", default=None)
_installed = False


class LoggedErrors:
    """WSGI middleware that raises the logged exception behind a response of status 500 to 599.

    For applications that call start_response before they return, as gateway/bridge.py does.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app
        _install()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        """The response of the application; raises the exception that it has logged."""
        __traceback_hide__ = True
        found: list[BaseException] = []
        token = _logged.set(found)
        head: list[Any] = []

        def starting(*given: Any) -> Any:
            head[:] = given
            return _no_write

        try:
            answer = self.app(environ, starting)
        finally:
            _logged.reset(token)
        if found and head[0][:1] == "5" and "text/html" in environ.get("HTTP_ACCEPT", ""):
            raise found[-1]
        start_response(*head)
        return answer


def _no_write(piece: bytes) -> None:
    raise RuntimeError("This application does not write its response.")


def _install() -> None:
    """Have log records with an exception noted."""
    global _installed
    if _installed:
        return
    _installed = True
    before = logging.getLogRecordFactory()

    # Not a handler: with a handler on the root logger, frameworks would not add their own.
    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        line = before(*args, **kwargs)
        found = _logged.get()
        if found is not None and line.exc_info and line.exc_info[1] is not None:
            found.append(line.exc_info[1])
        return line

    logging.setLogRecordFactory(factory)
