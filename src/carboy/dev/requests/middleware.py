"""The WSGI middleware of the list of requests: records requests, and shows them after the PIN."""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, quote

from carboy.dev.access import ROOT, same_origin
from carboy.dev.debugger import KEEP_PAGE, DebuggedApplication
from carboy.dev.debugger.page import as_trusted
from carboy.dev.explain import page as calls_page
from carboy.dev.explain.secrets import secrets_of
from carboy.dev.explain.tracer import Tracer
from carboy.dev.masking import masked_header, masked_url
from carboy.dev.requests import events, hooks, pages
from carboy.dev.requests.recording import Recording, recording_in
from carboy.dev.requests.store import TEXT, Record, Store
from carboy.http.fields.headers import EnvironHeaders
from carboy.http.request.request import Request
from carboy.http.response.response import Response
from carboy.http.wsgi import ClosingIterator
from carboy.speedups import speedups

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

T = TypeVar("T")
TEXTS = ("json", "xml", "javascript")  # in media types other than text/*
LOOPBACK = ("127.", "::1", "::ffff:127.")
# The page uses its own script and style sheet, and connects only to this server.
POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"  # noqa: E501
# A field that the list's page adds to a request, to find it in the list; the application has none.
REPLAY = "HTTP_CARBOY_REPLAY"
FRAMES = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_NONCE = "style-src 'nonce-{0}'; script-src 'nonce-{0}'"


class RequestList:
    """WSGI middleware that records requests in `store` and shows them at `/__carboy__/`.

    `guard` checks the PIN and the trusted hosts, `tracer` records the calls, and `session` returns
    the session of the current request.
    """

    def __init__(
        self,
        app: WSGIApplication,
        store: Store,
        guard: DebuggedApplication,
        tracer: Tracer | None = None,
        session: Callable[[], Any] = lambda: None,
    ) -> None:
        self.app = app
        self.store = store
        self.guard = guard
        self.tracer = tracer
        self._last = 0
        self._lock = threading.Lock()
        events.install(session)
        speedups.interpret("the list of requests is in use")
        hooks.watch(self)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Show the list, or call the application and record the request."""
        path = environ.get("PATH_INFO", "")
        if path == ROOT.rstrip("/"):
            response = Response(status=308, headers={"Location": _root(environ)})
            return response(environ, start_response)
        if path.startswith(ROOT):
            return self._shown(Request(environ), path[len(ROOT) :])(environ, start_response)
        return self._noted(environ, start_response)

    # --- recording requests

    def _noted(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        recording = self._aside(lambda: self._recording(environ))
        record = recording.record
        counter = BodyCounter(record)

        def starting(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            rest = (exc_info,) if exc_info else ()
            write = start_response(status, headers, *rest)  # raises if another head has been sent
            record.status = status
            record.response = [(name, masked_header(name, value)) for name, value in headers]
            counter.begin(headers)
            return counter.counting_write(write)

        environ[KEEP_PAGE] = partial(self._keep_page, recording)
        if self.tracer is not None:
            self.tracer.begin(record.number, _peer(environ), lambda: _secrets(environ))
        try:
            with recording_in(recording):
                answer = self.app(environ, starting)
                events.note_django_route(record, environ.get("PATH_INFO", ""))
        except BaseException as error:
            events.note_error(recording, error)
            self._finish(recording)
            raise
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(answer, wrapper):
            self._finish(recording)  # the server sends files without reading them here
            return answer
        if isinstance(answer, list | tuple):
            for piece in answer:
                counter.take(piece)
            self._finish(recording)
            return answer
        body = RecordedBody(answer, counter, recording)
        return ClosingIterator(body, lambda: self._finish(recording))

    def _recording(self, environ: WSGIEnvironment) -> Recording:
        events.watch_django()
        with self._lock:
            self._last = number = max(self._last + 1, time.time_ns() // 1000)
        replay = environ.pop(REPLAY, "")[:40]
        headers = [(name, masked_header(name, value)) for name, value in EnvironHeaders(environ)]
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        target = quote(path, safe="/:@!$&'()*+,;=~", encoding="latin-1")
        if query := environ.get("QUERY_STRING"):
            target = masked_url(f"{target}?{query}")
        record = Record(
            number, time.time(), environ.get("REQUEST_METHOD", ""), target, headers,
            protocol=environ.get("SERVER_PROTOCOL", ""), client=environ.get("REMOTE_ADDR", ""),
            replay=replay,
        )  # fmt: skip
        return Recording(
            record, environ, partial(self._cost, number), self._aside,
            partial(self.store.add_again, record),
        )  # fmt: skip

    def _keep_page(self, recording: Recording, html: str) -> None:
        """Keep the debugger's page about the exception that it handles now."""
        if (error := sys.exception()) is not None:
            events.note_error(recording, error)
        recording.record.has_page = True
        self._aside(lambda: self.store.add_page(recording.record.number, html))

    def _finish(self, recording: Recording) -> None:
        self._aside(recording.end)
        self._aside(lambda: self.store.add(recording.record))
        if self.tracer is not None:
            self.tracer.end(recording.record.number)

    def _cost(self, number: int) -> float:
        return 0.0 if self.tracer is None else self.tracer.cost(number)

    def _aside(self, work: Callable[[], T]) -> T:
        return work() if self.tracer is None else self.tracer.aside(work)

    # --- showing requests

    def _shown(self, request: Request, rest: str) -> Response:
        """The response for a path of the list; `rest` is the part after `/__carboy__/`."""
        if not self._is_here(request):
            return _page("Requests are shown only on this machine.\n", 403, "text/plain")
        if rest in pages.FILES:
            return _page(pages.file(rest), 200, pages.FILES[rest])
        if request.method == "POST" and not same_origin(request.environ):
            return _page("Only pages of this server may send this request.\n", 403, "text/plain")
        if rest == "" and request.method == "POST":
            return self._enter(request)
        if not self.guard.check_pin_trust(request.environ):
            return _page(pages.pin_form(tried=False), 401)
        if rest == "requests.json":
            found = [record.summary() for record in self.store.all()]
            return _page(json.dumps(found), 200, "application/json")
        if rest == "clear" and request.method == "POST":
            self.store.clear()
            return Response(status=303, headers={"Location": _root(request.environ)})
        if rest == "calls" and request.method == "POST":
            self.store.records_calls = request.form.get("record") == "yes"
            return Response(status=303, headers={"Location": _root(request.environ)})
        if rest == "":
            switch = None if self.tracer is None else self.store.records_calls
            return _page(pages.request_list(self.store.all(), switch))
        number, _, more = rest.partition("/")
        record = self.store.get(int(number)) if number.isdecimal() else None
        if record is None or more not in ("", "calls", "error"):
            return _page(pages.not_found(), 404)
        if more == "error":
            return self._error_page(record, request)
        return self._calls(record) if more else self._detailed(record, request)

    def _detailed(self, record: Record, request: Request) -> Response:
        origin = f"{request.scheme}://{request.host}"
        calls = self.store.calls(record.number) or {}
        switch = None if self.tracer is None else self.store.records_calls
        return _page(pages.request_details(record, origin, calls.get("steps", []), switch))

    def _error_page(self, record: Record, request: Request) -> Response:
        """The debugger's page about a failed request, or the response to its script."""
        if request.args.get("__debugger__") == "yes":
            return self.guard.page_response(request) or _page(pages.not_found(), 404)
        html = self.store.page(record.number)
        if html is None:
            return _page(pages.not_found(), 404)
        return _page(as_trusted(html), policy=FRAMES)

    def _calls(self, record: Record) -> Response:
        calls = self.store.calls(record.number)
        if calls is None:
            return _page(pages.not_found(), 404)
        nonce = secrets.token_urlsafe(16)
        summary = pages.summary(record, calls["overflowed"])
        title = f"{record.method} {record.target}"
        text = calls_page.of_data(title, summary, calls, nonce, f"../{record.number}")
        # Its script sets styles through the DOM, which the policy allows.
        return _page(text, policy=f"default-src 'none'; {_NONCE.format(nonce)}; {FRAMES}")

    def _is_here(self, request: Request) -> bool:
        client = request.environ.get("REMOTE_ADDR", "")
        return client.startswith(LOOPBACK) and self.guard.check_host_trust(request.environ)

    def _enter(self, request: Request) -> Response:
        """Check a PIN. The debugger counts the attempts."""
        body = str(request.get_data(as_text=True))
        pin = parse_qs(body[:200]).get("pin", [""])[0]
        asked = Request({**request.environ, "QUERY_STRING": f"pin={quote(pin)}"})
        told = self.guard.pin_auth(asked)
        answer = told.get_json(silent=True) or {}
        if not answer.get("auth"):
            return _page(pages.pin_form(tried=True, exhausted=bool(answer.get("exhausted"))), 401)
        response = Response(status=303, headers={"Location": _root(request.environ)})
        for cookie in told.headers.getlist("Set-Cookie"):
            response.headers.add("Set-Cookie", cookie)
        return response


class BodyCounter:
    """Counts the bytes of a response body, and keeps the beginning of a text."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.is_text = False
        self.length: int | None = None  # as declared

    def begin(self, headers: Iterable[tuple[str, str]]) -> None:
        """The response has these header fields."""
        found = {name.lower(): value for name, value in headers}
        kind = found.get("content-type", "")
        is_text = kind.startswith("text/") or any(part in kind for part in TEXTS)
        self.is_text = is_text and "content-encoding" not in found
        length = found.get("content-length", "")
        self.length = int(length) if length.isdecimal() else None

    def take(self, piece: bytes) -> None:
        room = TEXT - len(self.record.body)
        if self.is_text and room > 0:
            self.record.body += piece[:room].decode("utf-8", "replace")
        self.record.size += len(piece)

    def counting_write(self, write: Callable[[bytes], object]) -> Callable[[bytes], object]:
        def counted(piece: bytes) -> object:
            self.take(piece)
            return write(piece)

        return counted


class RecordedBody:
    """A response body that is recorded as it is iterated over, with the events during that.

    A generator runs only then; the debugger is a generator. A body of several pieces is an event,
    from the first piece to the last.
    """

    def __init__(self, answer: Iterable[bytes], counter: BodyCounter, recording: Recording) -> None:
        self._answer = answer
        self._next = iter(answer).__next__
        self._counter = counter
        self._recording = recording
        self._pieces = 0
        self._began = 0.0
        self._complete = False

    def __iter__(self) -> RecordedBody:
        return self

    def __next__(self) -> bytes:
        try:
            with recording_in(self._recording):
                piece = self._next()
        except StopIteration:
            self._complete = True
            raise
        except BaseException as error:
            self._complete = True
            events.note_error(self._recording, error)
            raise
        self._counter.take(piece)
        self._pieces += 1
        if self._pieces == 1:
            self._began = self._recording.now()
        return piece

    def close(self) -> None:
        close = getattr(self._answer, "close", None)
        try:
            if close is not None:
                with recording_in(self._recording):
                    close()
        finally:
            self._note_pieces()

    def _note_pieces(self) -> None:
        size, length = self._counter.record.size, self._counter.length
        cut = self._pieces > 0 and not self._complete and (length is None or size < length)
        if self._pieces > 1 or cut:
            text = "The client left before the end." if cut else ""
            pieces = f"{self._pieces:,} piece{'s' if self._pieces > 1 else ''}"
            self._recording.note("response", pieces, text, self._began)


def _root(environ: WSGIEnvironment) -> str:
    return quote(environ.get("SCRIPT_NAME", ""), encoding="latin-1") + ROOT


def _peer(environ: WSGIEnvironment) -> tuple[str, int]:
    port = str(environ.get("REMOTE_PORT", ""))
    return environ.get("REMOTE_ADDR", ""), int(port) if port.isdecimal() else 0


def _secrets(environ: WSGIEnvironment) -> set[str]:
    target = f"?{environ.get('QUERY_STRING', '')}"
    return secrets_of(target, EnvironHeaders(environ), None)


def _page(text: str, status: int = 200, kind: str = "text/html", policy: str = POLICY) -> Response:
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
    return Response(text, status, headers | {"X-Content-Type-Options": "nosniff"}, mimetype=kind)
