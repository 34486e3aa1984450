"""ASGI over a real socket: the scope, the messages, and what an application does wrong."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from carboy.net import listen_unix, loop_watch
from live_asgi import (
    Message,
    Receive,
    Send,
    Signal,
    body,
    only_http,
    served_asgi,
    start,
    whole_body,
)
from live_engine import GET, LAST, eventually


@only_http
async def hello(scope: Message, receive: Receive, send: Send) -> None:
    await send(start(200, (b"content-type", b"text/plain")))
    await send(body(b"hello"))


@only_http
async def describe(scope: Message, receive: Receive, send: Send) -> None:
    content = await whole_body(receive)
    shown = {**scope, "body": content}
    await send(start(200, (b"content-type", b"application/json")))
    await send(body(json.dumps(shown, default=lambda each: each.decode("latin-1")).encode()))


@pytest.fixture(scope="module")
def described() -> Any:
    with served_asgi(describe) as live:
        yield live


def ask(live: Any, data: bytes) -> Any:
    with live.client() as client:
        client.send(data)
        return json.loads(client.reply().body)


def test_a_complete_response_is_framed_by_its_length_and_the_connection_is_kept() -> None:
    with served_asgi(hello) as live, live.client() as client:
        for _ in range(3):
            client.send(GET)
            reply = client.reply()
            assert (reply.status, reply.body) == (200, b"hello")
            assert reply.headers["Content-Length"] == "5"
            assert reply.headers["Content-Type"] == "text/plain"
            assert reply.headers["Server"] == "carboy"


def test_the_scope_describes_the_request(described: Any) -> None:
    scope = ask(
        described,
        b"GET /caf%C3%A9%2Fx/%FF?q=%20a HTTP/1.1\r\nHost: example.test:8000\r\nX-A: 1\r\n"
        b"x-a:  two \r\n\r\n",
    )
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert scope["http_version"] == "1.1"
    assert scope["method"] == "GET"
    assert scope["scheme"] == "http"
    assert scope["path"] == "/café/x/\ufffd"
    assert scope["raw_path"] == "/caf%C3%A9%2Fx/%FF"
    assert scope["query_string"] == "q=%20a"
    assert scope["root_path"] == ""
    assert scope["headers"] == [["host", "example.test:8000"], ["x-a", "1"], ["x-a", "two"]]
    assert scope["server"] == list(described.address)
    assert scope["client"][0] == "127.0.0.1"
    assert scope["extensions"] == {
        "carboy.request": {},
        "http.response.early_hint": {},
        "http.response.pathsend": {},
        "http.response.trailers": {},
        "http.response.zerocopysend": {},
    }


def test_the_scope_of_http_1_0_says_so(described: Any) -> None:
    assert ask(described, b"GET / HTTP/1.0\r\n\r\n")["http_version"] == "1.0"


def test_the_scope_of_a_unix_socket_has_its_path_and_no_client(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with served_asgi(describe, listener=listen_unix(path)) as live:
        scope = ask(live, GET)
    assert (scope["server"], scope["client"]) == ([path, None], None)


def test_the_authority_of_an_absolute_target_is_the_host(described: Any) -> None:
    scope = ask(described, b"GET http://a.test/x?y HTTP/1.1\r\nHost: b.test\r\n\r\n")
    assert scope["headers"] == [["host", "a.test"]]
    assert (scope["path"], scope["query_string"]) == ("/x", "y")


def test_a_field_with_an_underscore_is_not_passed_on(described: Any) -> None:
    scope = ask(described, b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1\r\n\r\n")
    assert [name for name, _ in scope["headers"]] == ["host"]


def test_an_application_may_change_its_scope_without_effect_on_the_next_request() -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(str(len(scope["headers"])).encode()))
        scope["headers"].append((b"x", b"y"))
        scope["asgi"]["version"] = "4"

    with served_asgi(app) as live, live.client() as client:
        for _ in range(3):
            client.send(GET)
            assert client.reply().body == b"1"


@pytest.mark.parametrize("size", [1, 5, 70_000, 3_000_000])
def test_a_body_arrives_completely(size: int) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        data = await whole_body(receive)
        await send(start())
        await send(body(str(len(data)).encode()))

    with served_asgi(app) as live, live.client() as client:
        for _ in range(2):
            client.request("POST", "/", body=b"x" * size)
            assert client.reply().body == str(size).encode()


def test_a_chunked_body_arrives_decoded_and_in_order(described: Any) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % (65 + n % 26) for n in range(1000))
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    content = ask(described, head + chunks + b"0\r\n\r\n")["body"]
    assert content == "".join(chr(65 + n % 26) for n in range(1000))


def test_the_parts_of_a_body_are_given_as_they_come() -> None:
    came: list[bytes] = []
    first = Signal()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            came.append(message["body"])
            more = message["more_body"]
            first.set()
        await send(start())
        await send(body(b"done"))

    with served_asgi(app) as live, live.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        first.wait()
        client.send(b"def")
        assert client.reply().body == b"done"
    assert came == [b"abc", b"def"]


def test_a_client_that_waits_for_100_continue_gets_it_when_the_body_is_read() -> None:
    with served_asgi(describe) as live, live.client() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"ok")
        assert json.loads(client.reply().body)["body"] == "ok"


def test_a_client_that_waits_for_100_continue_is_not_asked_for_a_body_that_is_not_read() -> None:
    with served_asgi(hello) as live, live.client() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.reply().body == b"hello"
        assert client.closed()


def test_a_streamed_response_is_sent_in_chunks_as_it_is_made() -> None:
    more = Signal()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"one", more=True))
        await more.reached()
        await send(body(b"", more=True))
        await send(body(b"two", more=True))
        await send(body())

    with served_asgi(app) as live, live.client() as client:
        client.send(GET)
        assert b"Transfer-Encoding: chunked\r\n" in client.until(b"\r\n\r\n")
        assert client.until(b"one\r\n") == b"3\r\none\r\n"
        more.set()
        assert client.until(b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"
        client.send(LAST)
        assert client.reply().body == b"onetwo"


def test_an_empty_first_part_sends_the_head() -> None:
    more = Signal()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(more=True))
        await more.reached()
        await send(body(b"late"))

    with served_asgi(app) as live, live.client() as client:
        client.send(GET)
        client.until(b"\r\n\r\n")
        more.set()
        assert client.until(b"0\r\n\r\n") == b"4\r\nlate\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304), (b"HEAD", 404)]
)
def test_no_content_follows_where_http_has_none(request_: bytes, status: int) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start(status))
        await send(body(b"some", more=True))
        await send(body(b"thing"))

    with served_asgi(app) as live:
        data = live.ask(2 * GET.replace(b"GET", request_) + LAST.replace(b"GET", request_))
    assert data.count(b"HTTP/1.1 %d " % status) == 3
    assert data.endswith(b"\r\n\r\n")
    assert b"some" not in data


def test_pipelined_requests_are_answered_in_order() -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        await send(start())
        await send(body(scope["path"].encode() + await whole_body(receive)))

    with served_asgi(app) as live:
        sent = b"".join(
            b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n=%02d" % (n, n)
            for n in range(50)
        )
        data = live.ask(sent + LAST)
    bodies = [each.rpartition(b"\r\n\r\n")[2] for each in data.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"/%d=%02d" % (n, n) for n in range(50)] + [b"/"]


def test_each_request_has_context_variables_of_its_own() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        variable.set(variable.get() + 1)
        await send(start())
        await send(body(str(variable.get()).encode()))

    with served_asgi(app) as live, live.client() as client:
        for _ in range(3):
            client.send(GET)
            assert client.reply().body == b"1"


def test_an_application_of_version_2_is_served() -> None:
    class App:
        def __init__(self, scope: Message) -> None:
            assert scope["type"] == "http"

        async def __call__(self, receive: Receive, send: Send) -> None:
            await send(start())
            await send(body(await whole_body(receive)))

    with served_asgi(App) as live, live.client() as client:
        client.request("POST", "/", body=b"two")
        assert client.reply().body == b"two"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_code_that_blocks_the_loop_is_reported_with_its_request_and_line(
    loop: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("uvloop")
    monkeypatch.setattr(loop_watch, "BLOCKED", 0.1)

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        end = time.monotonic() + 20
        while not caplog.records and time.monotonic() < end:
            time.sleep(0.01)  # blocks
        await send(start())
        await send(body(b"x"))

    # The linger timeout makes the engine's interval short, too.
    with served_asgi(app, loop=loop, linger_timeout=0.1) as live, live.client() as client:
        client.send(GET)
        assert client.reply().body == b"x"
    (record,) = caplog.records
    assert record.message.startswith("GET / HTTP/1.1 has kept the event loop from running for 0.")
    assert "time.sleep(0.01)  # blocks" in record.message
    assert "in run" not in record.message


# --- extensions


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("size", [0, 10, 5_000_000])
def test_a_file_is_sent_by_its_path(size: int, method: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "file").write_bytes(content)

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-type", b"a/b")))
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "file")})

    with served_asgi(app, record=True) as live, live.client() as client:
        for _ in range(2):
            client.request(method, "/")
            reply = client.reply(method)
            assert reply.headers["Content-Length"] == str(size)
            assert reply.body == (content if method == "GET" else b"")
        eventually(lambda: len(live.records) == 2)
        assert live.records[0][5] == (size if method == "GET" else 0)


@pytest.mark.parametrize("path", ["missing", "."])
def test_a_file_that_cannot_be_sent_is_an_error_that_can_be_answered(
    path: str, tmp_path: Path
) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        with pytest.raises(OSError):
            await send({"type": "http.response.pathsend", "path": str(tmp_path / path)})
        await send(body(b"another body"))

    with served_asgi(app) as live, live.client() as client:
        client.send(GET)
        assert client.reply().body == b"another body"


def test_early_hints_come_before_the_response() -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        links = [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]
        await send({"type": "http.response.early_hint", "links": links})
        await send(start())
        await send(body(b"x"))

    with served_asgi(app) as live:
        data = live.ask(LAST)
        assert data.startswith(
            b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n"
            b"link: </b.js>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n"
        )
        assert live.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")


# --- what an application does wrong


FAILURES = {
    "raises": (lambda send: fail(), "ValueError: broken"),
    "exits": (lambda send: leave(), "SystemExit: 3"),
    "a file that is missing": (
        lambda send: both(send, start(), {"type": "http.response.pathsend", "path": "/missing"}),
        "FileNotFoundError",
    ),
    "sends nothing": (lambda send: nothing(), "returned without sending a response"),
    "starts only": (lambda send: send(start()), "returned without sending a response"),
    "has no start": (lambda send: send(body(b"x")), "A body was sent before http.response.start"),
    "unknown message": (lambda send: send({"type": "http.response.x"}), "no message 'http.respo"),
    "text": (lambda send: both(send, start(), {"type": "http.response.body", "body": "x"}), "str"),
    "text in headers": (
        lambda send: both(send, {**start(), "headers": [("a", "b")]}, body()),
        "Header names and values of ASGI are bytes",
    ),
    "interim status": (lambda send: both(send, start(102), body()), "not a final response"),
    "control character": (
        lambda send: both(send, start(200, (b"a", b"b\r\nc: d")), body()),
        "control character",
    ),
    "two starts": (lambda send: both(send, start(), start()), "started a second time"),
    "a type that is missing": (lambda send: send({}), "KeyError: 'type'"),
}


async def fail() -> None:
    raise ValueError("broken")


async def leave() -> None:
    sys.exit(3)


async def nothing() -> None:
    pass


async def both(send: Send, *messages: Message) -> None:
    for message in messages:
        await send(message)


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_before_the_response_is_a_500_and_a_line_in_the_log(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    do, text = FAILURES[name]

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await do(send)

    with served_asgi(app, record=True) as live, live.client() as client:
        for _ in range(2):
            client.send(GET)
            assert client.reply().status == 500
        eventually(lambda: len(live.records) == 2)
        assert [record[4] for record in live.records] == [500, 500]
    (first, _) = caplog.records
    assert first.message == "The application failed: GET / HTTP/1.1."
    assert text in caplog.text


def test_a_failure_within_the_response_cuts_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"begun", more=True))
        if scope["path"] == "/raise":
            raise ValueError("broken")

    with served_asgi(app) as live:
        for path in (b"/raise", b"/return"):
            data = live.ask(GET.replace(b" / ", b" " + path + b" "))
            assert data.endswith(b"5\r\nbegun\r\n")
    assert "broken" in caplog.text
    assert "returned without completing its response" in caplog.text
    assert caplog.text.count("after its response had begun, and the connection was cut") == 2


def test_a_failure_after_the_response_is_logged_and_the_connection_is_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"fine"))
        raise ValueError("too late")

    with served_asgi(app) as live, live.client() as client:
        for _ in range(2):
            client.send(GET)
            assert client.reply().body == b"fine"
        eventually(lambda: len(caplog.records) == 2)
    assert "The application failed after its response was complete: GET /" in caplog.text


def test_a_message_after_the_response_is_an_error_of_the_application(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"fine"))
        await send(body(b"more"))

    with served_asgi(app) as live, live.client() as client:
        client.send(GET)
        assert client.reply().body == b"fine"
        eventually(lambda: "The response is complete already." in caplog.text)


def test_the_length_that_was_announced_is_kept_to(caplog: pytest.LogCaptureFixture) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-length", scope["path"][1:].encode())))
        await send(body(b"12345"))

    with served_asgi(app) as live:
        assert (
            live.ask(GET.replace(b" / ", b" /3 ") + LAST.replace(b" / ", b" /5 ")).count(
                b"HTTP/1.1 200"
            )
            == 2
        )
        assert live.ask(GET.replace(b" / ", b" /9 ")).endswith(b"\r\n\r\n12345")
    assert "longer than its Content-Length" in caplog.text
    assert "shorter than its Content-Length" in caplog.text


def test_a_second_receive_waits_for_the_end_of_the_exchange() -> None:
    got: list[str] = []

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        listener = asyncio.ensure_future(receive())
        for _ in range(3):  # given up before; they must not be kept
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0.001)
        assert not listener.done()
        await send(start())
        await send(body(b"x"))
        got.append((await listener)["type"])

    with served_asgi(app) as live, live.client() as client:
        client.send(GET)
        assert client.reply().body == b"x"
        eventually(lambda: got == ["http.disconnect"])


def test_the_access_log_has_status_size_and_time(caplog: pytest.LogCaptureFixture) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start(201))
        await send(body(b"abc", more=True))
        await send(body(b"de"))

    with served_asgi(app, record=True) as live, live.client() as client:
        client.send(GET)
        client.reply()
        eventually(lambda: live.records)
    (record,) = live.records
    assert record[1] == "127.0.0.1"
    assert record[4:6] == (201, 5)
    assert 0 < record[6] < 20


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "auto"])
def test_every_kind_of_loop_serves(loop: str) -> None:
    pytest.importorskip("uvloop")

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(type(asyncio.get_running_loop()).__module__.encode()))

    with served_asgi(app, loop=loop) as live, live.client() as client:
        client.send(GET)
        used = client.reply().body
    assert used.startswith(b"asyncio" if loop == "asyncio" else b"uvloop")


def test_many_requests_wait_at_the_same_time_without_a_thread_each() -> None:
    arrived = 0
    go = asyncio.Event()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal arrived
        arrived += 1
        if arrived == 200:
            go.set()
        await go.wait()
        await send(start())
        await send(body(b"x"))

    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    with served_asgi(app, threads=1) as live:
        clients = [live.client() for _ in range(200)]
        opened = [client.__enter__() for client in clients]
        for client in opened:
            client.send(GET)
        for client in opened:
            assert client.reply().body == b"x"
        for client in clients:
            client.__exit__(None, None, None)
