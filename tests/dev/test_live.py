"""The middleware of the live page: which responses get the script, and which pages a stream."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any

import pytest

from carboy.dev.debugger import DebuggedApplication
from carboy.dev.live import Broadcaster, Failure, LivePage
from carboy.http import FileWrapper, Headers, Response
from carboy.testing import create_environ, run_wsgi_app

PAGE = b"<!doctype html><html><body><h1>Hi</h1></body></html>"
HTML = ("Content-Type", "text/html; charset=utf-8")
TAG = b'<script src="/__carboy__/live.js" data-generation="g1" data-page="0" data-style="0"'


def answering(
    body: Any = PAGE, *headers: tuple[str, str], status: str = "200 OK", length: bool = False
) -> Callable[..., Any]:
    """An application that always sends this response."""

    def app(environ: Any, start_response: Any) -> Any:
        size = [("Content-Length", str(len(body)))] if length else []
        start_response(status, [HTML, *size, *headers])
        return [body] if isinstance(body, bytes) else body

    return app


def ask(
    app: Any,
    path: str = "/",
    *,
    broadcaster: Broadcaster | None = None,
    method: str = "GET",
    **headers: str,
) -> tuple[bytes, str, Headers]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    environ = create_environ(path, method=method, headers=fields)
    body, status, found = run_wsgi_app(
        LivePage(app, broadcaster or Broadcaster("g1")), environ, buffered=True
    )
    return b"".join(body), status, found


def is_live(app: Any, **headers: Any) -> bool:
    return b"/__carboy__/live.js" in ask(app, **headers)[0]


# --- pages


def test_a_page_gets_the_script_before_the_end_of_its_body() -> None:
    body, _, headers = ask(answering(length=True))
    assert body == PAGE.replace(b"</body>", TAG + b" defer></script>\n</body>")
    assert headers["Content-Length"] == str(len(body))


def test_a_page_without_end_tags_gets_the_script_at_its_end() -> None:
    assert ask(answering(b"<!doctype html><p>Hi"))[0].endswith(b"defer></script>\n")


@pytest.mark.parametrize(
    "holder",
    [
        b"<!-- </body> -->",
        b"<script>x = '</body>'</script>",
        b"<textarea></body></textarea>",
        b"<template></body></template>",
    ],
)
def test_an_end_tag_inside_a_script_or_comment_is_ignored(holder: bytes) -> None:
    body, _, _ = ask(answering(b"<html><body>1</body>" + holder + b"</html>"))
    assert body.startswith(b"<html><body>1" + TAG)


def test_error_pages_are_live() -> None:
    assert is_live(answering(status="500 INTERNAL SERVER ERROR"))
    assert is_live(answering(status="404 NOT FOUND"))


def test_the_page_of_the_debugger_is_live() -> None:
    def failing(environ: Any, start_response: Any) -> Any:
        raise ValueError("</body> in a message")

    app = DebuggedApplication(failing)
    body, status, _ = ask(app, Accept="text/html")
    assert status.startswith("500")
    assert body.index(b"live.js") < body.index(b"<!--\n\nTraceback")


@pytest.mark.parametrize(
    "status", ["302 FOUND", "204 NO CONTENT", "304 NOT MODIFIED", "206 PARTIAL CONTENT"]
)
def test_responses_that_are_not_shown_are_not_changed(status: str) -> None:
    assert not is_live(answering(status=status))


@pytest.mark.parametrize(
    "field",
    [
        ("Content-Encoding", "gzip"),
        ("Content-Disposition", 'Attachment; filename="a.html"'),
        ("Cache-Control", "public, no-transform"),
        ("Repr-Digest", "sha-256=:AAAA:"),
    ],
)
def test_responses_that_would_break_are_not_changed(field: tuple[str, str]) -> None:
    assert not is_live(answering(PAGE, field))


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "text/html; charset=utf-16"])
def test_html_in_other_charsets_is_not_changed(kind: str) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", kind)])
        return [PAGE]

    assert not is_live(app)


def test_a_fragment_is_not_changed() -> None:
    assert ask(answering(b"<li>One</li>"))[0] == b"<li>One</li>"


def test_a_fragment_that_the_browser_shows_as_a_page_is_live() -> None:
    assert is_live(answering(b"<p>Hello, World!</p>"), Sec_Fetch_Dest="document")


@pytest.mark.parametrize(
    "field",
    [
        {"Sec_Fetch_Dest": "empty"},
        {"X_Requested_With": "XMLHttpRequest"},
        {"HX_Request": "true"},
        {"Range": "bytes=0-9"},
    ],
)
def test_a_response_to_a_script_is_not_changed(field: dict[str, str]) -> None:
    assert not is_live(answering(), **field)


def test_a_response_to_head_keeps_its_length() -> None:
    _, _, headers = ask(answering(length=True), method="HEAD")
    assert headers["Content-Length"] == str(len(PAGE))


def test_a_page_from_a_form_has_its_method() -> None:
    assert b'data-method="POST"' in ask(answering(), method="POST")[0]


def test_a_page_of_a_failed_program_is_marked() -> None:
    broadcaster = Broadcaster("g1", Failure("SyntaxError: x", "…"))
    assert b'data-failing=""' in ask(answering(), broadcaster=broadcaster)[0]


# --- streams


def test_a_stream_of_unknown_length_is_not_changed() -> None:
    taken = []

    def pieces() -> Iterator[bytes]:
        for piece in (b"<!doctype html><body>", b"1", b"</body>"):
            taken.append(piece)
            yield piece

    environ = create_environ("/")
    body, _, _ = run_wsgi_app(LivePage(answering(pieces()), Broadcaster("g1")), environ)
    stream = iter(body)
    assert next(stream) == b"<!doctype html><body>"
    assert len(taken) == 1
    assert list(stream) == [b"1", b"</body>"]


def test_a_generator_of_one_piece_and_known_length_is_a_page() -> None:
    size = ("Content-Length", str(len(PAGE)))
    assert is_live(answering(iter([PAGE]), size))
    assert not is_live(answering(iter([PAGE])))


def test_a_file_is_left_to_the_server() -> None:
    file = FileWrapper(BytesIO(PAGE))
    page = LivePage(answering(file), Broadcaster("g1"))
    assert page(create_environ("/"), lambda *args: lambda data: None) is file


def test_a_response_sent_with_write_is_not_changed() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [HTML])
        write(PAGE)
        return []

    assert ask(app)[0] == PAGE


def test_an_iterable_is_closed_once() -> None:
    class Body:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            return iter([PAGE])

        def close(self) -> None:
            self.closed += 1

    body = Body()
    ask(answering(body, ("Content-Length", str(len(PAGE)))))
    assert body.closed == 1


def test_an_iterable_that_raises_is_closed() -> None:
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            raise ValueError("first piece")

        def close(self) -> None:
            closed.append(1)

    with pytest.raises(ValueError, match="first piece"):
        ask(answering(Body()))
    assert closed == [1]


# --- caches


def cached(environ: Any, start_response: Any) -> Iterable[bytes]:
    """An application with an entity tag, which answers 304."""
    response = Response(PAGE, mimetype="text/html")
    response.set_etag("abc")
    response.last_modified = 0  # type: ignore[assignment]
    return response.make_conditional(environ)(environ, start_response)


def test_a_changed_page_has_another_entity_tag_and_no_date() -> None:
    _, _, headers = ask(cached)
    assert headers["ETag"] == '"abc+live-g1.0.0"'
    assert "Last-Modified" not in headers


def test_a_page_that_is_up_to_date_gets_304() -> None:
    body, status, headers = ask(cached, If_None_Match='"abc+live-g1.0.0"')
    assert (body, status) == (b"", "304 NOT MODIFIED")
    assert headers["ETag"] == '"abc+live-g1.0.0"'


def test_a_page_of_another_generation_does_not_get_304() -> None:
    assert ask(cached, If_None_Match='"abc+live-g0.0.0"')[1] == "200 OK"


def test_a_browser_with_a_page_without_the_script_does_not_get_304() -> None:
    assert ask(cached, If_None_Match='"abc"')[1] == "304 NOT MODIFIED"
    fields = {"Sec_Fetch_Dest": "document", "If_Modified_Since": "Thu, 01 Jan 2099 00:00:00 GMT"}
    assert ask(cached, If_None_Match='"abc"', **fields)[1] == "200 OK"


def test_if_match_has_the_tag_of_the_application() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["HTTP_IF_MATCH"].encode()]

    assert ask(app, method="PUT", If_Match='W/"a,b+live-g1.0.0", "c"')[0] == b'W/"a,b", "c"'


# --- Content-Security-Policy


@pytest.mark.parametrize(
    ("policy", "nonce"),
    [
        ("default-src 'self'", ""),
        ("script-src *; connect-src localhost", ""),
        ("img-src 'none'", ""),
        ("script-src 'nonce-r4nd'; connect-src 'self'", "r4nd"),
        ("script-src 'strict-dynamic' 'nonce-r4nd' 'self'", "r4nd"),
        ("default-src 'none'; script-src-elem 'nonce-r4nd'; connect-src *", "r4nd"),
        ("default-src 'self', script-src 'nonce-b' 'nonce-a'", "b"),
    ],
)
def test_the_script_has_the_nonce_of_the_policy(policy: str, nonce: str) -> None:
    body, _, headers = ask(answering(PAGE, ("Content-Security-Policy", policy)))
    assert b"live.js" in body
    assert (f'nonce="{nonce}"'.encode() in body) == bool(nonce)
    assert headers["Content-Security-Policy"] == policy


@pytest.mark.parametrize(
    "policy",
    [
        "default-src 'none'",
        "script-src 'self'; connect-src 'none'",
        "script-src https://cdn.test; connect-src *",
        "script-src 'strict-dynamic' 'self'",
        "sandbox allow-scripts",
        "script-src 'nonce-a', script-src 'nonce-b'",
    ],
)
def test_a_policy_that_forbids_the_script_is_logged_once(
    policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    page = LivePage(answering(PAGE, ("Content-Security-Policy", policy)), Broadcaster("g1"))
    with caplog.at_level(logging.WARNING, "carboy.dev"):
        for _ in range(2):
            body, _, _ = run_wsgi_app(page, create_environ("/shop"), buffered=True)
            assert b"".join(body) == PAGE
    assert [record.getMessage().split(" forbids")[0] for record in caplog.records] == [
        "The page /shop cannot reload itself, because its Content-Security-Policy"
    ]


def test_a_policy_that_only_reports_forbids_nothing() -> None:
    name = "Content-Security-Policy-Report-Only"
    assert is_live(answering(PAGE, (name, "default-src 'none'")))
    assert b'nonce="a"' in ask(answering(PAGE, (name, "script-src 'nonce-a'")))[0]


# --- requests of the page


def test_the_script_contains_its_styles_and_has_an_entity_tag() -> None:
    body, _, headers = ask(answering(), "/__carboy__/live.js")
    assert headers["Content-Type"].startswith("text/javascript")
    assert b"const STYLE = " in body
    assert b'"STYLE"' not in body
    again = ask(answering(), "/__carboy__/live.js", If_None_Match=headers["ETag"])
    assert again[1] == "304 NOT MODIFIED"


def hello(page: LivePage, **environ: Any) -> Any:
    request = create_environ("/__carboy__/live")
    request.update({"wsgi.multithread": True, **environ})
    body, status, headers = run_wsgi_app(page, request)
    if not status.startswith("200"):
        return int(status[:3])
    assert headers["Content-Type"].startswith("text/event-stream")
    assert not [name for name in headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118
    try:
        first = next(iter(body)).decode()
    finally:
        body.close()  # type: ignore[attr-defined]
    kind, data = first.strip().split("\n")
    assert kind == "event: hello"
    return json.loads(data.removeprefix("data: "))


def test_a_stream_begins_with_the_current_state() -> None:
    broadcaster = Broadcaster("g1", Failure("SyntaxError: x", "Traceback …"))
    told = hello(LivePage(answering(), broadcaster))
    assert told["generation"] == "g1"
    assert told["failure"] == {"title": "SyntaxError: x", "text": "Traceback …"}
    assert hello(LivePage(answering(), Broadcaster("g2")))["failure"] is None


@pytest.mark.parametrize(
    "fields",
    [
        {"HTTP_SEC_FETCH_SITE": "cross-site"},
        {"HTTP_SEC_FETCH_SITE": "same-site"},
        {"HTTP_ORIGIN": "https://evil.test"},
        {"HTTP_ORIGIN": "null"},
    ],
)
def test_pages_of_other_sites_may_not_listen(fields: dict[str, str]) -> None:
    assert hello(LivePage(answering(), Broadcaster("g1")), **fields) == 403


def test_pages_of_this_server_may_listen() -> None:
    page = LivePage(answering(), Broadcaster("g1"))
    fields = {"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_ORIGIN": "https://localhost"}
    assert hello(page, **fields)["generation"] == "g1"


def test_a_closed_broadcaster_refuses_streams() -> None:
    broadcaster = Broadcaster("g1")
    broadcaster.close()
    assert hello(LivePage(answering(), broadcaster)) == 503


def test_a_stream_does_not_block_a_server_with_one_thread() -> None:
    page = LivePage(answering(), Broadcaster("g1"))
    environ = create_environ("/__carboy__/live")
    environ.update({"wsgi.multithread": False, "wsgi.multiprocess": False})
    body, _, _ = run_wsgi_app(page, environ, buffered=True)
    (only,) = body
    assert b'"once": true' in only
