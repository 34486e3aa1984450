from __future__ import annotations

import io
import sys
import threading
from typing import Any
from wsgiref.validate import validator

import pytest

from carboy.file_wrapper import FileWrapper
from carboy.gateway import WsgiGateway, environ_of, for_application, wsgi
from carboy.gateway.wsgi import decode_path, field_variables
from carboy.protocol.events import RequestHead
from live_engine import GET, eventually, hello, served


def head(
    target: str = "/", block: bytes = b"Host: a\r\n", method: str = "GET", minor: int = 1
) -> RequestHead:
    path, _, query = target.partition("?")
    return RequestHead(method, target, path, query, minor, "a", block)


class FakeExchange:
    """An exchange without a server."""

    def __init__(self, request: RequestHead | None = None) -> None:
        self.head = request or head()
        self.body: Any = None
        self.body_size: int | None = 0
        self.scheme = "http"
        self.peer: tuple[str, int] | None = ("192.0.2.1", 5000)
        self.server: tuple[str, int | None] = ("192.0.2.2", 80)
        self.match: Any = None
        self.root_path = ""
        self.written: list[bytes] = []
        self.begun: tuple[str, Any] | None = None

    def environ(self) -> dict[str, Any]:
        return environ_of(self)

    def start(self, status: str, headers: Any) -> Any:
        self.begun = (status, headers)
        return self.written.append


def answer_of(app: Any, exchange: FakeExchange | None = None) -> Any:
    return WsgiGateway(app).handle(exchange or FakeExchange())


def variables(block: bytes, underscores: bool = False) -> dict[str, str]:
    return field_variables(head(block=block), underscores)


# --- the environ


def test_the_environ_has_what_pep_3333_asks_for() -> None:
    environ = environ_of(FakeExchange(head("/a%20b/%C3%A9?x=%20", method="PUT")))
    assert environ["REQUEST_METHOD"] == "PUT"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"] == "/a b/Ã©"
    assert environ["QUERY_STRING"] == "x=%20"
    assert environ["REQUEST_URI"] == environ["RAW_URI"] == "/a%20b/%C3%A9?x=%20"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("192.0.2.2", "80")
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("192.0.2.1", "5000")
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.input"].read() == b""
    assert environ["wsgi.input_terminated"] is True
    assert environ["wsgi.run_once"] is False
    assert issubclass(environ["wsgi.file_wrapper"], FileWrapper)
    assert type(environ) is dict


def test_repeated_fields_are_joined() -> None:
    found = variables(b"X-A: 1\r\nCookie: a=1\r\nx-a: 2\r\nCookie: b=2\r\n")
    assert found["HTTP_X_A"] == "1,2"
    assert found["HTTP_COOKIE"] == "a=1; b=2"


def test_names_with_an_underscore_are_left_out_unless_wanted() -> None:
    block = b"X_A: bad\r\nX-A: good\r\n"
    assert variables(block)["HTTP_X_A"] == "good"
    assert variables(block, underscores=True)["HTTP_X_A"] == "bad,good"


def test_content_type_and_length_have_names_without_http() -> None:
    found = variables(b"Content-Type: text/plain\r\ncontent-length: 5\r\n")
    assert found["CONTENT_TYPE"] == "text/plain"
    assert found["CONTENT_LENGTH"] == "5"
    assert "HTTP_CONTENT_TYPE" not in found
    assert "HTTP_CONTENT_LENGTH" not in found


def test_the_host_is_that_of_the_absolute_target() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [f"{environ['HTTP_HOST']} {environ['PATH_INFO']}".encode()]

    with served(app) as live, live.client() as client:
        for target, host in (("http://target.test/x", "target.test"), ("/x", "field.test")):
            client.send(f"GET {target} HTTP/1.1\r\nHost: field.test\r\n\r\n".encode())
            assert client.reply().body == f"{host} /x".encode()


@pytest.mark.parametrize(
    ("path", "decoded"),
    [("/", "/"), ("/%2F%2e", "//."), ("/%zz%4", "/%zz%4"), ("/\xe9", "/\xe9"), ("/%E9", "/\xe9")],
)
def test_a_path_is_decoded_once_to_latin_1(path: str, decoded: str) -> None:
    assert decode_path(path) == decoded


def test_errors_go_to_the_present_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = environ_of(FakeExchange())["wsgi.errors"]
    other = io.StringIO()
    monkeypatch.setattr(sys, "stderr", other)
    errors.write("text")
    errors.writelines(["a", "b"])
    errors.flush()
    assert other.getvalue() == "textab"


# --- answers


def test_one_piece_is_the_whole_answer() -> None:
    assert answer_of(hello) == ("200 OK", [("Content-Type", "text/plain")], b"hello", None)


def test_pieces_of_a_list_are_joined() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"a", b"", b"b"]

    assert answer_of(app)[2] == b"ab"


def test_an_empty_list_is_an_empty_body() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return []

    assert answer_of(app)[2] == b""


class Closing:
    def __init__(self, *pieces: Any) -> None:
        self.pieces = iter(pieces)
        self.closed = 0

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> bytes:
        piece = next(self.pieces)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        self.closed += 1


def test_an_iterable_is_passed_on_with_its_close() -> None:
    body = Closing(b"", b"a", b"b")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return body

    _, _, rest, close = answer_of(app)
    assert list(rest) == [b"a", b"b"]
    assert body.closed == 0
    close()
    assert body.closed == 1


def test_an_iterable_of_known_length_one_is_a_whole_body() -> None:
    class One(Closing):
        def __len__(self) -> int:
            return 1

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return One(b"a")

    assert answer_of(app)[2] == b"a"


def test_start_response_may_come_with_the_first_iteration() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("201 Created", [("X-A", "1")])
        yield b"late"

    status, headers, body, close = answer_of(app)
    assert (status, headers, list(body)) == ("201 Created", [("X-A", "1")], [b"late"])
    close()


def test_an_iterable_that_fails_at_once_is_closed() -> None:
    body = Closing(ValueError("at once"))

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return body

    with pytest.raises(ValueError, match="at once"):
        answer_of(app)
    assert body.closed == 1


def test_a_body_without_start_response_is_an_error() -> None:
    for result in ([b"x"], iter([b"x"]), []):
        with pytest.raises(RuntimeError, match="start_response"):
            answer_of(lambda environ, start_response: result)


@pytest.mark.parametrize("result", [["text"], iter(["text"]), ["a", "b"]])
def test_text_is_refused_and_the_error_says_what_to_do(result: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return result

    with pytest.raises(TypeError, match="encode"):
        answer_of(app)


def test_text_later_in_the_body_is_refused_too() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return iter([b"a", "b"])

    with pytest.raises(TypeError, match="encode"):
        list(answer_of(app)[2])


def test_start_response_twice_is_an_error_without_exc_info() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        start_response("404 Not Found", [])
        return [b""]

    with pytest.raises(AssertionError, match="exc_info"):
        answer_of(app)


def test_exc_info_replaces_the_head_while_nothing_is_sent() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-A", "1")])
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", [("X-B", "2")], sys.exc_info())
        return [b"sorry"]

    assert answer_of(app) == ("500 Oops", [("X-B", "2")], b"sorry", None)


def test_exc_info_is_raised_again_once_the_answer_has_begun() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"first"
        try:
            raise ValueError("too late")
        except ValueError:
            start_response("500 Oops", [], sys.exc_info())
        yield b"never"

    body = answer_of(app)[2]
    with pytest.raises(ValueError, match="too late"):
        list(body)


def test_write_sends_the_head_and_the_rest_follows() -> None:
    exchange = FakeExchange()

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("X-A", "1")])
        write(b"one")
        write(b"two")
        return [b"three"]

    _, _, rest, _ = answer_of(app, exchange)
    assert exchange.begun == ("200 OK", [("X-A", "1")])
    assert exchange.written == [b"one", b"two"]
    assert list(rest) == [b"three"]


def test_a_file_wrapper_is_passed_on_as_a_file() -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(4)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file, 2)

    _, _, body, close = answer_of(app)
    assert (body.file, body.offset, body.count) == (file, 4, None)
    assert list(body) == [b"45", b"67", b"89"]
    close()
    assert file.closed


def test_something_that_is_not_an_application_is_refused() -> None:
    with pytest.raises(TypeError, match="is not a WSGI application"):
        for_application("module:app")


# --- on a real socket


@pytest.fixture(params=["epoll", "selectors"])
def poller(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def generator(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one"
    yield b""
    yield b"two"


def imperative(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"one")
    return [b"two"]


def counted(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return iter([b"one", b"two"])


@pytest.mark.parametrize("app", [generator, imperative, counted])
def test_valid_applications_get_a_valid_server(app: Any, poller: str) -> None:
    with served(validator(app), poller=poller) as live, live.client() as client:
        for _ in range(2):
            client.request("GET", "/path?query=1", {"Cookie": "a=b"})
            reply = client.reply()
            assert (reply.status, reply.body) == (200, b"onetwo")


def test_a_valid_application_gets_its_body(poller: str) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]

    with served(validator(app), poller=poller) as live, live.client() as client:
        client.request("POST", "/", {"Content-Type": "text/plain"}, b"payload")
        assert client.reply().body == b"payload"


def test_a_generator_is_chunked_for_1_1_and_closed_for_1_0() -> None:
    with served(generator) as live:
        with live.client() as client:
            client.send(GET)
            data = client.until(b"0\r\n\r\n")
        assert b"Transfer-Encoding: chunked\r\n" in data
        assert data.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
        data = live.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert data.endswith(b"\r\n\r\nonetwo")
        assert b"Connection: close\r\n" in data


def test_each_piece_is_sent_when_it_is_made() -> None:
    seen = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"first"
        assert seen.wait(20)
        yield b"second"

    with served(app) as live, live.client() as client:
        client.send(GET)
        client.until(b"first\r\n")
        seen.set()
        client.until(b"second\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("method", "status"), [("GET", "200 OK"), ("HEAD", "200 OK"), ("GET", "304 Not Modified")]
)
def test_close_is_called_once_whatever_happens_to_the_body(method: str, status: str) -> None:
    body = Closing(b"a", b"b")

    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, [])
        return body

    with served(app) as live, live.client() as client:
        client.request(method, "/")
        client.reply(method)
        client.request(method, "/")
        client.reply(method)
    # The second answer has nothing left to give, and is closed too.
    eventually(lambda: body.closed == 2)


def test_close_is_called_when_the_body_fails(caplog: pytest.LogCaptureFixture) -> None:
    body = Closing(b"a", RuntimeError("halfway"))

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return body

    with served(app) as live, live.client() as client:
        client.send(GET)
        client.until(b"a\r\n")
        assert client.closed()
    eventually(lambda: body.closed == 1)
    assert "halfway" in caplog.text


def test_a_close_that_fails_is_logged_after_the_response(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(Closing):
        def close(self) -> None:
            raise RuntimeError("in close")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Failing(b"fine")

    with served(app) as live, live.client() as client:
        for _ in range(2):
            client.send(GET)
            assert client.reply().body == b"fine"
    assert "in close" in caplog.text


def test_a_short_body_closes_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "10")])
        return [b"short"]

    with served(app) as live:
        assert live.ask(GET).endswith(b"\r\n\r\nshort")
    assert "shorter than its Content-Length" in caplog.text


def test_a_long_body_is_cut_to_its_length_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "4")])
        return iter([b"long", b"er"])

    with served(app) as live, live.client() as client:
        for _ in range(2):
            client.send(GET)
            assert client.reply().body == b"long"
    assert "longer than its Content-Length" in caplog.text


def test_early_hints_are_sent_before_the_response() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
        return hello(environ, start_response)

    with served(app) as live:
        with live.client() as client:
            client.send(GET)
            hints = client.until(b"\r\n\r\n")
            assert hints == b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
            assert client.reply().body == b"hello"
        assert live.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_two_requests_of_a_connection_share_no_environ() -> None:
    seen: list[dict[str, Any]] = []

    def app(environ: Any, start_response: Any) -> Any:
        seen.append(environ)
        environ["HTTP_X_LEFT"] = environ["my.own"] = "behind"
        return hello(environ, start_response)

    with served(app) as live, live.client() as client:
        for path in ("/a", "/b?c"):
            client.request("GET", path, {"X-Own": path})
            client.reply()
        client.request("POST", "/b", {"X-Own": "/b?c"}, b"body")
        client.reply()
        client.request("GET", "/b", {"X-Own": "/b?c"})
        client.reply()
    assert [each["HTTP_X_OWN"] for each in seen] == ["/a", "/b?c", "/b?c", "/b?c"]
    assert [each.get("CONTENT_LENGTH") for each in seen] == [None, None, "4", None]
    assert [each["QUERY_STRING"] for each in seen] == ["", "c", "", ""]


def test_wsgi_multithread_is_set() -> None:
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        seen.append((environ["wsgi.multithread"], environ["wsgi.multiprocess"]))
        return hello(environ, start_response)

    for threads in (1, 4):
        with served(app, threads=threads) as live:
            live.get()
    assert seen == [(False, False), (True, False)]


def test_the_exchange_is_in_the_environ() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [environ["carboy.exchange"].head.target.encode()]

    with served(app) as live:
        assert live.get("/x?y").body == b"/x?y"


def test_many_header_names_do_not_fill_the_memory() -> None:
    from carboy.gateway import wsgi as module

    for number in range(3 * module._NAMES_SIZE):
        block = b"x-%d: a\r\nX-%s: b\r\n" % (number, b"y" * 100)
        found = field_variables(head(block=block))
        assert (found[f"HTTP_X_{number}"], found["HTTP_X_" + "Y" * 100]) == ("a", "b")
    assert len(module._names) <= module._NAMES_SIZE
    assert max(map(len, module._names)) <= module._NAME_SIZE


def test_changed_fields_replace_those_of_an_environ() -> None:
    environ = {"HTTP_REFERER": "a", "HTTP_X_Y": "b", "REQUEST_METHOD": "GET"}
    assert wsgi.replace_fields(environ, [("Referer", "a", "c"), ("x-y", "b", "")])
    assert environ == {"HTTP_REFERER": "c", "HTTP_X_Y": "", "REQUEST_METHOD": "GET"}


def test_a_field_that_came_twice_is_not_replaced() -> None:
    environ = {"HTTP_COOKIE": "a=b; c=d"}
    assert not wsgi.replace_fields(environ, [("Cookie", "a=b", "e=f")])
