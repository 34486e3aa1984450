from __future__ import annotations

import sys
from typing import Any

import pytest

import carboy
from carboy.http.response.response import Response
from carboy.testing import Client, create_environ, run_wsgi_app
from carboy.testing.lanes import _respond


def send(app: Any, request: bytes, environ: dict[str, Any] | None = None) -> Response:
    return Response(*_respond(app, request, environ or {}, buffered=True))


def application() -> carboy.Flask:
    app = carboy.Flask("direct")

    @app.route("/echo", methods=["GET", "POST"])
    def echo() -> Any:
        request = carboy.request
        return {"data": request.get_data(as_text=True), "args": request.args.get("a")}

    @app.route("/addr")
    def addr() -> Any:
        return {"addr": carboy.request.remote_addr, "scheme": carboy.request.scheme}

    return app


def test_raw_bytes_are_answered() -> None:
    response = send(application(), b"GET /echo?a=%20b HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (response.status, response.json) == ("200 OK", {"data": "", "args": " b"})


def test_a_chunked_body_is_decoded() -> None:
    response = send(
        application(),
        b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    )
    assert response.json == {"data": "abcde", "args": None}


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc", 400),
        (b"GET / HTTP/1.1\r\nHost: h", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ],
)
def test_the_parser_answers_requests_that_it_refuses(request_bytes: bytes, status: int) -> None:
    response = send(application(), request_bytes)
    assert response.status_code == status
    assert response.get_data(as_text=True).startswith(f"{status} ")


def test_an_environ_adds_to_the_bytes_of_a_request() -> None:
    response = send(
        application(),
        b"GET /addr HTTP/1.1\r\nHost: h\r\n\r\n",
        {"REMOTE_ADDR": "1.2.3.4", "wsgi.url_scheme": "https"},
    )
    assert response.json == {"addr": "1.2.3.4", "scheme": "https"}


def test_the_direct_lane_calls_direct_handle() -> None:
    app = application()
    taken: list[str] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            if name.startswith("direct_"):
                taken.append(name)
            return getattr(app, name)

        def direct_ready(self) -> bool:
            return app.direct_ready()

        def direct_prepare(self, exchange: Any) -> Any:
            return app.direct_prepare(exchange)

        def direct_body_limit(self, exchange: Any) -> Any:
            return app.direct_body_limit(exchange)

        def direct_wants_stream(self, exchange: Any) -> Any:
            return app.direct_wants_stream(exchange)

        def direct_handle(self, exchange: Any) -> Any:
            taken.append("direct_handle")
            return app.direct_handle(exchange)

        def __call__(self, environ: Any, start_response: Any) -> Any:
            taken.append("wsgi")
            return app(environ, start_response)

    Client(Watched(), lane="direct").get("/echo")
    assert taken == ["direct_handle"]


def test_a_wrapped_application_is_called_over_wsgi() -> None:
    app = application()
    inner = app.wsgi_app
    seen: list[str] = []

    def wrapped(environ: Any, start_response: Any) -> Any:
        seen.append(environ["PATH_INFO"])
        return inner(environ, start_response)

    app.wsgi_app = wrapped  # type: ignore[method-assign, assignment]
    assert app.test_client(lane="direct").get("/echo").status_code == 200
    assert seen == ["/echo"]


def test_a_foreign_application_is_called_through_the_wsgi_gateway() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("X-Y", environ["HTTP_X_Y"])])
        write(b"a")
        return [b"b"]

    response = Client(app, lane="direct").get("/", headers={"X-Y": "z"})
    assert (response.data, response.headers["X-Y"]) == (b"ab", "z")


def test_an_invalid_answer_is_an_error_and_closed() -> None:
    closed: list[int] = []

    class Body:
        def __iter__(self) -> Any:
            yield b"x"
            yield b"y"

        def close(self) -> None:
            closed.append(1)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-Bad", "a\r\nb")])
        return Body()

    with pytest.raises(Exception, match="X-Bad"):
        Client(app, lane="direct").get("/")
    assert closed == [1]


def test_a_mounted_request_takes_the_wsgi_lane() -> None:
    client = application().test_client(lane="direct")
    assert client.get("/addr", base_url="http://localhost/app").status_code == 200


# --- the WSGI lane


def test_the_body_is_read_up_to_its_first_chunk() -> None:
    steps: list[str] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-Y", "z")])
        steps.append("first")
        yield b"a"
        steps.append("second")
        yield b"b"

    body, status, headers = run_wsgi_app(app, create_environ())
    assert (status, headers["x-y"], steps) == ("200 OK", "z", ["first"])
    assert list(body) == [b"a", b"b"]


def test_written_bytes_come_first() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        write(b"1")
        return [b"2"]

    assert b"".join(run_wsgi_app(app, create_environ())[0]) == b"12"
    assert run_wsgi_app(app, create_environ(), buffered=True)[0] == [b"1", b"2"]


class Closing:
    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Any:
        yield b"1"
        yield b"2"

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("buffered", [False, True])
def test_close_is_called_once(buffered: bool) -> None:
    closing = Closing()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return closing

    body, _, _ = run_wsgi_app(app, create_environ(), buffered)
    assert list(body) == [b"1", b"2"]
    close = getattr(body, "close", None)
    if close is not None:
        close()
    assert closing.closed == 1


def test_close_is_called_after_an_error() -> None:
    class Broken(Closing):
        def __iter__(self) -> Any:
            raise KeyError("x")

    broken = Broken()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return broken

    with pytest.raises(KeyError):
        run_wsgi_app(app, create_environ())
    assert broken.closed == 1


def test_an_error_reported_by_exc_info_is_raised() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Oh", [], sys.exc_info())
        return []

    with pytest.raises(ZeroDivisionError):
        run_wsgi_app(app, create_environ())


def test_an_answer_without_start_response_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="start_response"):
        run_wsgi_app(lambda environ, start_response: [b"x"], create_environ())


def test_the_callers_environ_is_not_changed() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        environ["changed"] = True
        start_response("200 OK", [])
        return []

    environ = create_environ()
    run_wsgi_app(app, environ)
    assert "changed" not in environ
