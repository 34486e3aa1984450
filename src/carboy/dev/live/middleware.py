"""The WSGI middleware of the live page: the script, its event stream, and its tag in pages."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import escape

from carboy.dev.access import ROOT, same_origin
from carboy.dev.live.broadcaster import Broadcaster, State
from carboy.dev.live.held_response import SEAL, HeldResponse, is_file
from carboy.dev.live.script_tag import is_page, nonce_for, policies, with_tag
from carboy.http.response.response import Response
from carboy.http.wsgi import ClosingIterator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

STREAM = f"{ROOT}live"
SCRIPT = f"{ROOT}live.js"
SHARED = Path(__file__).parent / "shared"
# Values of Sec-Fetch-Dest (Fetch Metadata) for what a browser shows as a page.
SHOWN = ("document", "iframe", "frame")
# Sent by scripts that insert a fragment into a page.
BY_SCRIPT = ("HTTP_X_REQUESTED_WITH", "HTTP_HX_REQUEST")
# Bytes. Larger pages are not changed, because the search for their end would take too long.
LARGEST = 8 * 1024 * 1024
# Fields that depend on the exact bytes, or say that these are not plain HTML.
AS_IT_IS = ("content-encoding", "content-md5", "digest", "content-digest", "repr-digest",
            "transfer-encoding", "content-range")  # fmt: skip
MATCH = "HTTP_IF_MATCH"
CONDITIONS = {MATCH, "HTTP_IF_NONE_MATCH"}

_tag = re.compile(r'(?:W/)?"[^"]*"|[^\s,]+')
_log = logging.getLogger("carboy.dev")


class LivePage:
    """WSGI middleware that makes HTML pages reload themselves on the events of `broadcaster`.

    It changes only complete, uncompressed responses of known length to browsers that load a page.
    """

    def __init__(self, app: WSGIApplication, broadcaster: Broadcaster) -> None:
        self.app = app
        self.broadcaster = broadcaster
        style = (SHARED / "live.css").read_text("utf-8")
        code = (SHARED / "live.js").read_text("utf-8")
        self._script = code.replace('"STYLE"', json.dumps(style)).encode()
        self._told_policy = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the requests of the script; pass all others to the application."""
        path = environ.get("PATH_INFO", "")
        if path == STREAM:
            return self._stream(environ)(environ, start_response)
        if path == SCRIPT:
            return self._file(environ)(environ, start_response)
        if path.startswith(ROOT) or not loads_page(environ):
            return self.app(environ, start_response)
        return self._page(environ, start_response)

    def _stream(self, environ: WSGIEnvironment) -> Response:
        if not same_origin(environ):
            return Response(
                "Only pages of this server may open the event stream.\n", 403, mimetype="text/plain"
            )
        if self.broadcaster.closed:
            return Response("The server is restarting.\n", 503, {"Retry-After": "1"})
        # A stream would block a server that handles one request at a time.
        alone = not (environ.get("wsgi.multithread") or environ.get("wsgi.multiprocess"))
        asked = environ.get("QUERY_STRING") == "once"
        events = self.broadcaster.listen(once=alone or asked, browser=_browser(environ))
        response = Response(events, mimetype="text/event-stream", headers=own_headers())
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
        return response

    def _file(self, environ: WSGIEnvironment) -> Response:
        response = Response(self._script, mimetype="text/javascript", headers=own_headers())
        response.cache_control.no_cache = True
        response.add_etag()
        return response.make_conditional(environ)

    # --- pages

    def _page(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # Read before the application runs, so that a change in between reloads the page.
        state = self.broadcaster.state
        seal = _seal(state)
        held = HeldResponse(start_response, seal, confirming=remove_seals(environ, seal))
        result = self.app(environ, held.start_response)
        close = getattr(result, "close", None)
        try:
            if held.begun or is_file(result, environ) or (held.status and not _is_html(held)):
                held.begin()
                return result
            whole = isinstance(result, list | tuple)
            rest = iter(result)
            # start_response may be called as late as for the first piece (PEP 3333).
            pieces = list(rest) if whole else [next(rest, b"")]
            if not held.begun and (whole or _length(held) == len(pieces[0])):
                pieces = self._with_script(environ, held, pieces, state)
            held.begin()
        except BaseException:
            if close is not None:
                close()
            raise
        if whole and close is None:
            return pieces
        return ClosingIterator(chain(pieces, rest), close)

    def _with_script(
        self, environ: WSGIEnvironment, held: HeldResponse, pieces: list[bytes], state: State
    ) -> list[bytes]:
        if not (_is_html(held) and all(isinstance(piece, bytes) for piece in pieces)):
            return pieces
        body = b"".join(pieces)
        # A browser shows an incomplete document as a page, too.
        shown = environ.get("HTTP_SEC_FETCH_DEST") in SHOWN or is_page(body)
        nonce = self._nonce(environ, held) if shown and 0 < len(body) <= LARGEST else None
        if nonce is None:
            return pieces
        tag = self._tag(environ, state, nonce).encode("ascii", "xmlcharrefreplace")
        changed = with_tag(body, tag)
        held.change(len(changed))
        return [changed]

    def _nonce(self, environ: WSGIEnvironment, held: HeldResponse) -> str | None:
        enforced = policies(held.values("content-security-policy"))
        watched = policies(held.values("content-security-policy-report-only"))
        if not (enforced or watched):
            return ""
        nonce = nonce_for(environ.get("HTTP_HOST", "").lower(), enforced, watched)
        if nonce is None and not self._told_policy:
            self._told_policy = True
            _log.warning(
                "The page %s cannot reload itself, because its Content-Security-Policy forbids"
                " scripts of this server, or connections to it. Allow a nonce or 'self' in"
                " script-src, and 'self' in connect-src.",
                environ.get("PATH_INFO", "/"),
            )
        return nonce

    def _tag(self, environ: WSGIEnvironment, state: State, nonce: str) -> str:
        values: dict[str, object] = {
            "src": quote(environ.get("SCRIPT_NAME", ""), encoding="latin-1") + SCRIPT,
            "data-generation": state.generation,
            "data-page": state.page,
            "data-style": state.style,
        }
        if self.broadcaster.failure is not None:
            values["data-failing"] = ""
        if environ["REQUEST_METHOD"] != "GET":
            values["data-method"] = environ["REQUEST_METHOD"]
        if nonce:
            values["nonce"] = nonce
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in values.items())
        return f"<script{attributes} defer></script>\n"


def loads_page(environ: WSGIEnvironment) -> bool:
    """Whether a browser may show the response as a page: it says so, or does not deny it."""
    if environ["REQUEST_METHOD"] == "HEAD" or "HTTP_RANGE" in environ:
        return False
    kind = environ.get("HTTP_SEC_FETCH_DEST")
    if kind is not None:
        return kind in SHOWN
    return not any(name in environ for name in BY_SCRIPT)


def own_headers() -> dict[str, str]:
    """Headers of the middleware's own responses, which are for pages of this server only."""
    return {
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


def remove_seals(environ: WSGIEnvironment, seal: str) -> bool:
    """Restore the application's entity tags in `environ`; returns whether one is current.

    Only tags of pages that are up to date are kept. If an older page in the browser's cache were
    confirmed as unchanged, it would find itself out of date and reload again and again.
    """
    browser = "HTTP_SEC_FETCH_DEST" in environ
    confirming = False
    for name in CONDITIONS & environ.keys():
        tags = _tag.findall(environ.pop(name))
        sealed = [tag for tag in tags if tag.endswith(f'{SEAL}{seal}"')]
        left = [tag for tag in tags if SEAL not in tag] if name == MATCH or not browser else []
        if left or sealed:
            environ[name] = ", ".join([*(tag.partition(SEAL)[0] + '"' for tag in sealed), *left])
        confirming = confirming or bool(sealed)
    if browser and "HTTP_IF_NONE_MATCH" not in environ:
        environ.pop("HTTP_IF_MODIFIED_SINCE", None)
    return confirming


def _browser(environ: WSGIEnvironment) -> str:
    return f"{environ.get('REMOTE_ADDR')} {environ.get('HTTP_USER_AGENT')}"


def _seal(state: State) -> str:
    return quote(f"{state.generation}.{state.page}.{state.style}", safe="")


def _is_html(held: HeldResponse) -> bool:
    """Whether the response is complete HTML that a browser shows and that may be changed."""
    status = int(held.status[:3]) if held.status and held.status[:3].isdecimal() else 0
    if status < HTTPStatus.OK or HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return False
    if status in (HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.PARTIAL_CONTENT):
        return False
    kind = "".join(held.values("content-type")[:1]).lower()
    if kind.partition(";")[0].strip() != "text/html" or any(held.values(*AS_IT_IS)):
        return False
    if any(value.lower().lstrip().startswith("attachment")
           for value in held.values("content-disposition")):  # fmt: skip
        return False
    return "no-transform" not in ",".join(held.values("cache-control")) and _reads_ascii(kind)


def _reads_ascii(kind: str) -> bool:
    """Whether the charset encodes ASCII as single bytes. UTF-16, for example, does not."""
    charset = kind.partition("charset=")[2].partition(";")[0].strip(" \"'") or "utf-8"
    try:
        return "<script>".encode(charset) == b"<script>"
    except LookupError:
        return False


def _length(held: HeldResponse) -> int | None:
    value = "".join(held.values("content-length")[:1])
    return int(value) if value.isdecimal() else None
