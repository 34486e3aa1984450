"""A body that has come with its head is the same to an application as one that comes in parts."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import carboy
from calls import calls_of
from live_asgi import served_asgi
from live_engine import GET, LAST, Client, Live, eventually, served
from running import in_a_fresh_process

BODY = b"name=Ada+Lovelace&email=ada%40example.org&name=Augusta"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
COUNTED = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def head(fields: bytes, path: bytes = b"/form") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: a\r\n%b%b\r\n" % (path, FORM, fields)


def chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def form_application() -> carboy.Flask:
    app = carboy.Flask("whole_bodies")
    request = carboy.request

    @app.post("/form")
    def form() -> str:
        return f"{request.form.to_dict(flat=False)}"

    @app.post("/data")
    def data() -> bytes:
        return request.get_data()

    @app.post("/data-then-form")
    def data_then_form() -> str:
        return f"{len(request.get_data())} {request.form['email']}"

    @app.post("/form-then-data")
    def form_then_data() -> str:
        return f"{request.form['email']} {request.get_data()!r}"

    @app.post("/stream")
    def stream() -> str:
        pieces = [request.stream.read(5), request.stream.read(), request.stream.read()]
        return f"{pieces} {request.content_length} {dict(request.form)}"

    @app.post("/json")
    def json() -> Any:
        return {"found": request.get_json(force=True)}

    @app.post("/unread")
    def unread() -> str:
        return "unread"

    @app.get("/")
    def hello() -> str:
        return "hello"

    return app


def on_the_wsgi_lane() -> carboy.Flask:
    app = form_application()
    inner = app.wsgi_app

    def wrapper(environ: Any, start_response: Any) -> Any:
        return inner(environ, start_response)

    app.wsgi_app = wrapper  # type: ignore[method-assign]
    return app


def plain(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    body = environ["wsgi.input"]
    read = [body.read(5), body.readline(), body.read(), body.read()]
    names = ("CONTENT_LENGTH", "CONTENT_TYPE", "wsgi.input_terminated")
    return [repr((read, [environ.get(name) for name in names])).encode()]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def in_one_piece(live: Live, client: Client, path: bytes) -> None:
    client.send(head(COUNTED, path) + BODY)


def in_two_packets(live: Live, client: Client, path: bytes) -> None:
    client.send(head(COUNTED, path) + BODY[:9])
    eventually(
        lambda: any(each.machine.request_line for each in list(live.engine.connections.values()))
    )
    client.send(BODY[9:])


def chunked_in_one_piece(live: Live, client: Client, path: bytes) -> None:
    client.send(head(CHUNKED, path) + chunks(BODY))


def chunked_in_pieces(live: Live, client: Client, path: bytes) -> None:
    client.send(head(CHUNKED, path) + chunks(BODY[:3], BODY[3:]))


def with_an_expectation(live: Live, client: Client, path: bytes) -> None:
    client.send(head(b"Expect: 100-continue\r\n" + COUNTED, path) + BODY)


def after_a_continue(live: Live, client: Client, path: bytes) -> None:
    client.send(head(b"Expect: 100-continue\r\n" + COUNTED, path))
    assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(BODY)


def before_the_next_request(live: Live, client: Client, path: bytes) -> None:
    client.send(head(COUNTED, path) + BODY + GET)


def behind_another_request(live: Live, client: Client, path: bytes) -> None:
    client.send(GET + head(COUNTED, path) + BODY)
    client.reply()


WAYS = (
    in_one_piece,
    in_two_packets,
    chunked_in_one_piece,
    chunked_in_pieces,
    with_an_expectation,
    after_a_continue,
    before_the_next_request,
    behind_another_request,
)
FIELDS = "{'name': ['Ada Lovelace', 'Augusta'], 'email': ['ada@example.org']}"
ANSWERS = {
    b"/form": FIELDS.encode(),
    b"/data": BODY,
    b"/data-then-form": b"%d ada@example.org" % len(BODY),
    b"/form-then-data": b"ada@example.org b''",
    b"/unread": b"unread",
}


@contextmanager
def lane(app: Any) -> Iterator[Live]:
    with served(app, threads=2) as live:
        yield live


@pytest.mark.parametrize("build", [form_application, on_the_wsgi_lane])
def test_each_way_of_sending_gives_a_view_the_same(build: Callable[[], carboy.Flask]) -> None:
    with lane(build()) as live:
        for way in WAYS:
            for path, expected in ANSWERS.items():
                with live.client() as client:
                    way(live, client, path)
                    reply = client.reply("POST")
                    assert (reply.status, reply.body) == (200, expected), (way, path)
                    if way is before_the_next_request:
                        client.reply()
                    client.send(LAST)  # the connection goes on
                    assert client.reply().status == 200


@pytest.mark.parametrize("build", [form_application, on_the_wsgi_lane])
def test_a_view_reads_the_stream_up_to_its_end(build: Callable[[], carboy.Flask]) -> None:
    expected = f"{[BODY[:5], BODY[5:], b'']} {len(BODY)} {{}}".encode()
    with lane(build()) as live, live.client() as client:
        in_one_piece(live, client, b"/stream")
        assert client.reply("POST").body == expected


@pytest.mark.parametrize("way", WAYS)
def test_a_wsgi_application_finds_the_body_and_its_end_in_wsgi_input(way: Any) -> None:
    length, kind = str(len(BODY)), "application/x-www-form-urlencoded"
    expected = ([BODY[:5], BODY[5:], b"", b""], [length, kind, True])
    with lane(plain) as live, live.client() as client:
        way(live, client, b"/")
        assert client.reply("POST").body == repr(expected).encode()


@pytest.mark.parametrize("way", WAYS)
def test_an_asgi_application_receives_the_body(way: Any) -> None:
    with served_asgi(asgi, threads=2) as live, live.client() as client:
        way(live, client, b"/")
        assert client.reply("POST").body == BODY


@pytest.mark.parametrize("build", [form_application, on_the_wsgi_lane])
def test_json_is_read_from_a_body_in_one_piece(build: Callable[[], carboy.Flask]) -> None:
    with lane(build()) as live, live.client() as client:
        client.request("POST", "/json", {}, '{"name": "Łukasz"}'.encode())
        assert client.reply("POST").body == b'{"found":{"name":"\\u0141ukasz"}}\n'
        client.request("POST", "/json", {}, b'{"name": \xff}')
        assert client.reply("POST").status == 400


@pytest.mark.parametrize("build", [form_application, on_the_wsgi_lane])
@pytest.mark.parametrize("limit", ["MAX_CONTENT_LENGTH", "MAX_FORM_MEMORY_SIZE", "MAX_FORM_PARTS"])
def test_the_limits_of_the_application_are_those_of_flask(
    build: Callable[[], carboy.Flask], limit: str
) -> None:
    """The other two limits are those of multipart forms."""
    app = build()
    app.config[limit] = 1
    with lane(app) as live, live.client() as client:
        in_one_piece(live, client, b"/form")
        status = 413 if limit == "MAX_CONTENT_LENGTH" else 200
        assert client.reply("POST").status == status


def test_a_body_over_the_limit_of_the_server_is_refused_before_the_application() -> None:
    seen: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(environ["REQUEST_METHOD"])
        return plain(environ, start_response)

    with served(app, threads=1, limit_body=len(BODY) - 1) as live, live.client() as client:
        in_one_piece(live, client, b"/")
        assert client.reply("POST").status == 413
        assert client.closed()
    assert seen == []


def test_a_body_of_exactly_the_limit_is_served() -> None:
    with served(plain, threads=1, limit_body=len(BODY)) as live, live.client() as client:
        in_one_piece(live, client, b"/")
        assert client.reply("POST").status == 200


def test_a_body_is_closed_after_its_response() -> None:
    kept: list[io.BytesIO] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        kept.append(environ["wsgi.input"])
        return plain(environ, start_response)

    with lane(app) as live, live.client() as client:
        for _ in range(2):
            in_one_piece(live, client, b"/")
            client.reply("POST")
        client.send(GET)
        client.reply()
    assert [each.closed for each in kept[:2]] == [True, True]


@in_a_fresh_process
def test_a_form_costs_few_calls() -> None:
    calls = calls_of(form_application(), head(COUNTED) + BODY)
    assert calls, "nothing was counted"
    assert len(calls) <= 52, "\n".join(calls)
