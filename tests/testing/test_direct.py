from __future__ import annotations

from typing import Any

import pytest

import carboy
from carboy.testing import Client
from carboy.testing.direct import send


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


def test_raw_octets_are_answered() -> None:
    response = send(application(), b"GET /echo?a=%20b HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (response.status, response.json) == ("200 OK", {"data": "", "args": " b"})


def test_a_chunked_body_is_put_together() -> None:
    response = send(
        application(),
        b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    )
    assert response.json == {"data": "abcde", "args": None}


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc", 400),
        (b"GET / HTTP/1.1\r\nHost: h", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ],
)
def test_what_the_machine_refuses_it_answers(octets: bytes, status: int) -> None:
    response = send(application(), octets)
    assert response.status_code == status
    assert response.text.startswith(f"{status} ")


def test_an_environ_tells_what_the_wire_does_not() -> None:
    response = send(
        application(),
        b"GET /addr HTTP/1.1\r\nHost: h\r\n\r\n",
        {"REMOTE_ADDR": "1.2.3.4", "wsgi.url_scheme": "https"},
    )
    assert response.json == {"addr": "1.2.3.4", "scheme": "https"}


def test_the_lane_is_really_the_direct_one() -> None:
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


def test_a_wrapped_application_takes_the_wsgi_way_behind_the_machine() -> None:
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


def test_an_answer_the_wire_cannot_carry_is_an_error_and_closed() -> None:
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
