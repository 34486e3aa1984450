"""The debugger: shows an exception of an application as a page with a console in each frame.

`DebuggedApplication` wraps any WSGI application. Code is only run for a request that has the
secret of the page, a trusted host name, and a cookie that proves the PIN from the terminal.
"""

from __future__ import annotations

import hmac
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from multiprocessing import Value
from pathlib import Path
from traceback import format_tb
from typing import TYPE_CHECKING, Any
from zlib import adler32

from carboy.dev.debugger import console, repr, tbtools  # noqa: A004 - Werkzeug's name
from carboy.dev.debugger.console import Console
from carboy.dev.debugger.contexts import ApplicationContext, Contexts
from carboy.dev.debugger.page import request_html
from carboy.dev.debugger.pin import (
    PIN_TIME,
    get_machine_id,
    get_pin_and_cookie_name,
    hash_pin,
    settle_pin,
)
from carboy.dev.debugger.repr import encodable
from carboy.dev.debugger.tbtools import DebugFrameSummary, DebugTraceback, render_console_html
from carboy.dev.hints import hints
from carboy.dev.ownership import claim
from carboy.http.exceptions import HTTPException, NotFound, SecurityError
from carboy.http.fields.cookies import parse_cookie
from carboy.http.request.request import Request
from carboy.http.request.url import host_is_trusted
from carboy.http.response.response import Response
from carboy.http.security import gen_salt
from carboy.speedups import speedups
from carboy.werkzeug_log import _log

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = [
    "PIN_TIME",
    "Console",
    "DebugFrameSummary",
    "DebugTraceback",
    "DebuggedApplication",
    "console",
    "get_machine_id",
    "get_pin_and_cookie_name",
    "hash_pin",
    "render_console_html",
    "repr",
    "settle_pin",
    "tbtools",
]

SHARED = Path(__file__).parent / "shared"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
TERMINALS = ("curl/", "httpie/", "wget/", "xh/")
PRESERVE = "werkzeug.debug.preserve_context"
# In the environ: called with the HTML of the page, even if the client gets the exception as text.
KEEP_PAGE = "carboy.keep_error_page"
TRIES = 10
# Frames kept for consoles. Each keeps the local variables of its function alive.
FRAMES = 2000
# Fields of the responses to the page's script. Without the first one, another program answered.
FROM_DEBUGGER = "X-Debugger"
MORE = "X-Debugger-More"  # whether the input of a console is not complete
OLD_PAGE = "The page is older than the server's code. Reload the page."
LOCKED = "The browser is not authorized. Enter the PIN."
STARTED_BY_RELOADER = "WERKZEUG_RUN_MAIN"


class _ConsoleFrame:
    """Replaces a frame on the page of the console."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.console = Console(namespace)
        self.id = 0

    def eval(self, code: str) -> Any:
        """Run code and return the transcript as HTML."""
        return self.console.eval(code)


class DebuggedApplication:
    """WSGI middleware that shows the exceptions of an application.

    `evalex` allows the page to run code in frames. `console_path` is a console without an
    exception; `console_init_func` returns its names. `show_hidden_frames` shows frames with
    `__traceback_hide__`. `pin_security=False` switches the PIN off, `pin_logging=False` does not
    log it. `trusted_hosts` are the host names under which code may be run.
    """

    _pin: str | None
    _pin_cookie: str | None

    def __init__(
        self,
        app: WSGIApplication,
        evalex: bool = False,
        request_key: str = "werkzeug.request",
        console_path: str = "/console",
        console_init_func: Callable[[], dict[str, Any]] | None = None,
        show_hidden_frames: bool = False,
        pin_security: bool = True,
        pin_logging: bool = True,
    ) -> None:
        claim(app)
        speedups.interpret("the debugger is in use")
        self.app = app
        self.evalex = evalex
        self.frames: dict[int, DebugFrameSummary | _ConsoleFrame] = {}
        self.frame_contexts: dict[int, Contexts] = {}
        self.request_key = request_key
        self.console_path = console_path
        self.console_init_func = console_init_func
        self.show_hidden_frames = show_hidden_frames
        self.secret = gen_salt(20)
        # Shared by the processes of a server, so that the limit is for all of them.
        self._failed_pin_auth = Value("B")
        self.pin_logging = pin_logging
        # Makes the text about an exception that is written to wsgi.errors.
        self.describe: Callable[[Exception], str] | None = None
        self.trusted_hosts: list[str] = [".localhost", "127.0.0.1"]
        if not pin_security:
            self.pin = None
        elif os.environ.get(STARTED_BY_RELOADER) == "true" and pin_logging:
            self._tell_pin()

    def _tell_pin(self) -> None:
        _log("warning", " * Debugger is active!")
        if self.pin is None:
            _log("warning", " * Debugger PIN disabled. DEBUGGER UNSECURED!")
        else:
            _log("info", " * Debugger PIN: %s", self.pin)

    def join(self, other: DebuggedApplication) -> None:
        """Share the frames, the secret and the PIN of `other`, which guards another application.

        So one PIN unlocks the consoles of all applications of a server.
        """
        self.secret, self.frames, self.frame_contexts = (
            other.secret, other.frames, other.frame_contexts,
        )  # fmt: skip
        self._pin, self._pin_cookie = other.pin, other.pin_cookie_name
        self._failed_pin_auth = other._failed_pin_auth

    @property
    def pin(self) -> str | None:
        """The PIN; None if no PIN is needed."""
        if not hasattr(self, "_pin"):
            self._pin, self._pin_cookie = get_pin_and_cookie_name(self.app)
        return self._pin

    @pin.setter
    def pin(self, value: str | None) -> None:
        self._pin = value

    @property
    def pin_cookie_name(self) -> str:
        """The name of the cookie that proves the PIN."""
        if not hasattr(self, "_pin_cookie"):
            self._pin, self._pin_cookie = get_pin_and_cookie_name(self.app)
        return self._pin_cookie or "__wzd"

    # --- requests

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the requests of the page; pass all others to the application."""
        request = Request(
            environ, populate_request=False
        )  # the environ's request is the application's
        if request.args.get("__debugger__") == "yes":
            answer = self.page_response(request)
        elif self.evalex and self.console_path and request.path == self.console_path:
            answer = self.display_console(request)
        else:
            answer = None
        if answer is None:
            return self.debug_application(environ, start_response)
        return answer(environ, start_response)

    def page_response(self, request: Request) -> Response | None:
        """The response to a request of the page's script; None if it is another one."""
        # The page posts its secrets, which would otherwise be in the access log.
        args = request.values if request.method == "POST" else request.args
        command = args.get("cmd")
        if command == "resource" and args.get("f"):
            return self.get_resource(request, args["f"])
        response = self._answer(request, args)
        if response is None and request.method == "POST" and "s" in args:
            # Not for the application, which may have a view that accepts it.
            response = Response(OLD_PAGE, 410, mimetype="text/plain")
        if response is not None:
            response.headers[FROM_DEBUGGER] = "yes"
        return response

    def _answer(self, request: Request, args: Any) -> Response | None:
        """The response to a request with the page's secret."""
        command = args.get("cmd")
        if not hmac.compare_digest(args.get("s", "").encode(), self.secret.encode()):
            return None
        if command == "pinauth":
            return self.pin_auth(request)
        if command == "printpin":
            return self.log_pin_request(request)
        frame = self.frames.get(args.get("frm", default=-1, type=int))
        if not self.evalex or frame is None:
            return None
        if not self.check_pin_trust(request.environ):
            posted = request.method == "POST"
            return Response(LOCKED, 401, mimetype="text/plain") if posted else None
        if not self.check_host_trust(request.environ):
            return _page_of(SecurityError())
        if "stop" in args:
            return self._stop(frame)
        if "complete" in args:
            return self._complete(args["complete"], frame)
        if "locals" in args:
            return self._locals(frame)
        return self.execute_command(request, command, frame) if command is not None else None

    def debug_application(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterator[bytes]:
        """The response of the application, or the page about its exception."""
        contexts = Contexts()
        if self.evalex:
            environ[PRESERVE] = contexts.append
        answer: Any = None
        started = False

        def start(*head: Any) -> Any:
            nonlocal started
            started = True
            return start_response(*head)

        try:
            answer = self.app(environ, start)
            yield from answer
        except Exception as error:
            if isinstance(error, ConnectionError) and _has_taken_socket(environ):
                raise  # raised by WebSocket libraries at the end of a connection
            again = partial(_start_again, start_response, error) if started else start_response
            yield from self._show(error, environ, again, contexts)
        finally:
            if hasattr(answer, "close"):
                answer.close()

    def _show(
        self,
        error: Exception,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        contexts: Contexts,
    ) -> Iterator[bytes]:
        keep = environ.get(KEEP_PAGE)
        wanted = wants_page(Request(environ))
        html, told, text = "", [], ""
        try:
            found = DebugTraceback(error, skip=1, hide=not self.show_hidden_frames)
            self._keep(found, contexts)
            told = hints(error)
            text = described = found.render_traceback_text()
            if self.describe:
                described = self.describe(error)
            if wanted or keep is not None:
                html = encodable(self._page_of(found, environ, contexts, told))
        except Exception as problem:  # raised by an object of the application, such as the error
            text = text or "".join([*format_tb(error.__traceback__), type(error).__name__])
            described = text = f"{text}\nIts page cannot be shown: {type(problem).__name__}\n"
        if html and keep is not None:
            keep(html)
        if html and wanted:
            response = Response(html, status=500, mimetype="text/html")
        else:
            whole = encodable("\n".join([text.rstrip("\n"), *told, ""]))
            response = Response(whole, status=500, mimetype="text/plain")
        errors = environ["wsgi.errors"]
        # Before the page, because nothing after it runs if the client disconnects.
        errors.write(encodable(described))
        try:
            yield from response(environ, start_response)
        except Exception:
            errors.write(
                "The response had already been started, so the debugger cannot show a page for this"
                " exception.\n"
            )

    def _page_of(
        self, found: DebugTraceback, environ: WSGIEnvironment, contexts: Contexts, told: list[str]
    ) -> str:
        trusted = bool(self.check_pin_trust(environ))
        # The request of the framework has read the body, which cannot be read twice.
        request = _of_contexts("request", contexts) or Request(environ)
        shown = request_html(request, _of_contexts("session", contexts))
        return found.render_debugger_html(self.evalex, self.secret, trusted, shown, told)

    def _keep(self, found: DebugTraceback, contexts: Contexts) -> None:
        for frame in found.all_frames:
            self.frames[id(frame)] = frame
            self.frame_contexts[id(frame)] = contexts
        for old in list(self.frames)[: max(0, len(self.frames) - FRAMES)]:
            self.frames.pop(old, None)
            self.frame_contexts.pop(old, None)

    # --- requests of the page

    def execute_command(
        self, request: Request, command: str, frame: DebugFrameSummary | _ConsoleFrame
    ) -> Response:
        """Run code in a frame, inside the contexts of its request."""
        if not self.check_host_trust(request.environ):
            return _page_of(SecurityError())
        console = self._console(frame)
        response = _as_html(frame.eval(command))
        response.headers[MORE] = "yes" if console.is_open else "no"
        return response

    def _console(self, frame: DebugFrameSummary | _ConsoleFrame) -> Console:
        """The console of a frame, which runs code in the contexts of the frame's request."""
        found: Console = frame.console
        contexts = self.frame_contexts.get(id(frame), found.contexts)
        if contexts is not found.contexts:
            found.contexts = contexts
            for name in ("request", "session", "g"):  # unless the frame has such a name
                value = _of_contexts(name, contexts)
                if value is not None:
                    found.names.setdefault(name, value)
        return found

    def _stop(self, frame: DebugFrameSummary | _ConsoleFrame) -> Response:
        """Stop the code that runs in a frame."""
        place = frame.console.place()
        return _as_json({"stopped": frame.console.stop(), "place": place})

    def _complete(self, text: str, frame: DebugFrameSummary | _ConsoleFrame) -> Response:
        """The completion of the input before the cursor, as JSON."""
        made = self._console(frame).completion(text)
        return _as_json({"typed": made.typed, "found": made.found})

    def _locals(self, frame: DebugFrameSummary | _ConsoleFrame) -> Response:
        """The current local variables of a frame."""
        return _as_html(self._console(frame).show(getattr(frame, "local_ns", {})))

    def display_console(self, request: Request) -> Response:
        """The page of a console without an exception."""
        if not self.check_host_trust(request.environ):
            return _page_of(SecurityError())
        if 0 not in self.frames:
            self.frames[0] = self._make_console()
        trusted = bool(self.check_pin_trust(request.environ))
        return Response(render_console_html(self.secret, trusted), mimetype="text/html")

    def _make_console(self) -> _ConsoleFrame:
        names = dict((self.console_init_func or dict)() or {})
        app = names.setdefault("app", self.app)
        contexts = Contexts()
        if hasattr(app, "app_context"):  # a Flask application
            contexts.append(ApplicationContext(app))
            with contexts.entered():
                names = {**app.make_shell_context(), **names}
        frame = _ConsoleFrame(names)
        frame.console.contexts = contexts
        return frame

    def get_resource(self, request: Request, filename: str) -> Response:
        """A style sheet or script of the page."""
        path = SHARED / Path(filename).name
        if path.suffix not in TYPES or not path.is_file():
            return _page_of(NotFound())
        data = path.read_bytes()
        response = Response(data, mimetype=TYPES[path.suffix])
        response.set_etag(f"wz-{adler32(data) & 0xFFFFFFFF:x}")
        response.cache_control.no_cache = True
        return response.make_conditional(request)

    def check_pin_trust(self, environ: WSGIEnvironment) -> bool | None:
        """Whether the browser has proved the PIN; None if its cookie is for another PIN."""
        if self.pin is None:
            return True
        value = parse_cookie(environ).get(self.pin_cookie_name)
        moment, _, digest = (value or "").partition("|")
        if not moment.isdecimal() or not digest:
            return False
        if not hmac.compare_digest(digest.encode(), hash_pin(self.pin).encode()):
            return None
        return time.time() - PIN_TIME < int(moment)

    def check_host_trust(self, environ: WSGIEnvironment) -> bool:
        """Whether the Host of the request is one of `trusted_hosts`."""
        return host_is_trusted(environ.get("HTTP_HOST"), self.trusted_hosts)

    def _fail_pin_auth(self) -> None:
        with self._failed_pin_auth.get_lock():
            count = self._failed_pin_auth.value
            if count < 255:
                self._failed_pin_auth.value = count + 1
        time.sleep(5.0 if count > TRIES // 2 else 0.5)

    def pin_auth(self, request: Request) -> Response:
        """Check the PIN of a request; if it is right, set the cookie that proves it."""
        if not self.check_host_trust(request.environ):
            return _page_of(SecurityError())
        trust = self.check_pin_trust(request.environ)
        exhausted = self._failed_pin_auth.value >= TRIES
        pin = request.args.get("pin")
        if pin is None:
            pin = request.form.get("pin", "")
        given = pin.strip().replace("-", "")
        auth = bool(trust)
        if not trust and not exhausted:
            right = (self.pin or "").replace("-", "")
            auth = hmac.compare_digest(given.encode(), right.encode())
            if auth:
                self._failed_pin_auth.value = 0
            else:
                self._fail_pin_auth()
        stale = trust is None and not auth  # delete a cookie for another PIN
        response = _as_json({"auth": auth, "exhausted": exhausted})
        self._set_trust(response, request, auth, stale)
        return response

    def _set_trust(self, response: Response, request: Request, auth: bool, stale: bool) -> None:
        if auth and self.pin is not None:
            response.set_cookie(
                self.pin_cookie_name,
                f"{int(time.time())}|{hash_pin(self.pin)}",
                httponly=True,
                samesite="Strict",
                secure=request.is_secure,
            )
        elif stale:
            response.delete_cookie(self.pin_cookie_name)

    def log_pin_request(self, request: Request) -> Response:
        """Log the PIN in the terminal, because a page needs it."""
        if not self.check_host_trust(request.environ):
            return _page_of(SecurityError())
        if self.pin_logging and self.pin is not None:
            _log("info", " * To enable the debugger you need to enter the security pin:")
            _log("info", " * Debugger pin code: %s", self.pin)
        return Response("")


def _has_taken_socket(environ: WSGIEnvironment) -> bool:
    """Whether the application uses the socket for another protocol (`werkzeug.socket`)."""
    return bool(getattr(environ.get("carboy.exchange"), "taken", False))


def _start_again(
    start_response: StartResponse, error: Exception, status: str, headers: Any, *more: Any
) -> Any:
    """Replace a head that has not been sent (PEP 3333); raises the error if it was sent."""
    raised: Any = (type(error), error, error.__traceback__)
    return start_response(status, headers, raised)


def _page_of(error: HTTPException) -> Response:
    page: Response = error.get_response()
    return page


def _as_html(text: str) -> Response:
    return Response(encodable(text), mimetype="text/html")


def _as_json(value: Any) -> Response:
    return Response(json.dumps(value), mimetype="application/json")


def wants_page(request: Request) -> bool:
    """Whether the client is a browser. Other programs get text."""
    if "text/html" in request.headers.get("Accept", ""):
        return True
    if request.user_agent.string.lower().startswith(TERMINALS):
        return False
    return request.accept_mimetypes.best in (None, "*/*")


def _of_contexts(name: str, contexts: list[Any]) -> Any:
    """The request or session in the contexts of a framework, or None."""
    found = (getattr(context, name, None) for context in contexts)
    return next((each for each in found if each is not None), None)
