"""HTTP/2 of an engine: requests of one connection run at a time, on each kind of application."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carboy import Carboy, Response, request
from carboy.net.tls_files import Pair
from carboy.net.tls_server import TlsOptions, TlsServer
from carboy.server.http2.choice import Http2Choice
from carboy.server.settings import Settings
from carboy.server.tls_setup import tls_fields, tls_server
from certificates import Authority
from http2_client import Http2Client, connected, http2, served_h2c, show
from live_engine import served

AUTHORITY = Authority()


def test_a_wsgi_application_sees_http_2() -> None:
    with served_h2c(show, record=True) as live, http2(live) as client:
        reply = client.get("/a%20b?c=d")
        assert reply.status == 200
        assert reply.body == b"HTTP/2 GET /a b c=d example.test "
        assert reply.headers["x-case"] == "Kept"
        assert reply.headers["content-length"] == str(len(reply.body))
        assert live.records[0][2].request_line() == "GET /a%20b?c=d HTTP/2.0"


def test_a_carboy_application_is_called_directly() -> None:
    app = Carboy(__name__)

    @app.get("/<name>")
    def hello(name: str) -> str:
        return f"{name} {request.host} {request.scheme}"

    with served_h2c(app) as live, http2(live) as client:
        assert client.get("/x").body == b"x example.test http"
        assert client.get("/y").body == b"y example.test http"


def client_of(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    names = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "HTTP_X_FORWARDED_FOR")
    start_response("200 OK", [])
    return [" ".join(environ.get(name, "-") for name in names).encode()]


FORWARDED = (
    ("x-forwarded-for", "6.6.6.6, 192.0.2.1"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "shop.example"),
)


def test_forwarded_fields_are_taken_from_trusted_proxies_only() -> None:
    with served_h2c(client_of, trusted_proxies="127.0.0.1") as live, http2(live) as client:
        for _ in range(2):
            found = client.get("/", fields=FORWARDED).body
            assert found == b"192.0.2.1 https shop.example 192.0.2.1"
        assert client.get("/").body == b"127.0.0.1 http example.test -"
    with served_h2c(client_of) as live, http2(live) as client:
        assert client.get("/", fields=FORWARDED).body == b"127.0.0.1 http example.test -"


def test_hsts_is_sent_to_clients_that_have_connected_to_a_proxy_over_tls() -> None:
    with served_h2c(client_of, trusted_proxies="127.0.0.1", hsts=60) as live, http2(live) as client:
        name = "strict-transport-security"
        assert client.get("/", fields=FORWARDED).headers[name] == "max-age=60"
        assert name not in client.get("/").headers


def test_the_proxy_protocol_names_the_client_of_all_requests() -> None:
    header = b"PROXY TCP4 192.0.2.7 198.51.100.7 4711 443\r\n"
    settings = {"proxy_protocol": True, "trusted_proxies": "127.0.0.1"}
    with served_h2c(client_of, **settings) as live, connected(live) as sock:
        sock.sendall(header)
        client = Http2Client(sock)
        for _ in range(2):
            assert client.get("/").body == b"192.0.2.7 http example.test -"


def test_http_2_over_tls_is_chosen_by_alpn(tmp_path: Path) -> None:
    AUTHORITY.sign("localhost").write(tmp_path)
    pair = Pair(str(tmp_path / "server.pem"), str(tmp_path / "server-key.pem"))
    tls = TlsServer(TlsOptions(pairs=(pair,), protocols=("h2", "http/1.1")))
    with served(show, wrap=tls) as live, connected(live, AUTHORITY.client()) as sock:
        assert sock.selected_alpn_protocol() == "h2"
        assert Http2Client(sock).get("/").body == b"HTTP/2 GET /  example.test "


def test_http_2_can_be_turned_off(tmp_path: Path) -> None:
    certificate, key = AUTHORITY.sign("localhost").write(tmp_path)
    for chosen in (True, False):
        settings = Settings(http2=Http2Choice(http2=chosen))
        tls = tls_server(str(certificate), str(key), settings)
        assert tls is not None
        with served(show, wrap=tls, http2=chosen) as live:
            with connected(live, AUTHORITY.client()) as sock:
                assert sock.selected_alpn_protocol() == ("h2" if chosen else "http/1.1")


def test_a_context_given_to_serve_chooses_http_2(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*AUTHORITY.sign("localhost").write(tmp_path))
    wrap = tls_fields(context, (), (), Settings())["wrap"]
    with served(show, wrap=wrap) as live, connected(live, AUTHORITY.client()) as sock:
        assert sock.selected_alpn_protocol() == "h2"


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_000])
def test_a_request_body_arrives_whole(size: int) -> None:
    with served_h2c(show) as live, http2(live) as client:
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        number = client.request("POST", "/", end=False)
        if body:
            client.send(number, body)
        else:
            client.end(number)
        assert client.reply(number).body.endswith(b" example.test " + body)


def test_a_large_response_waits_for_the_window_of_the_client() -> None:
    body = bytes(range(256)) * 12_000
    app = Carboy(__name__)
    app.get("/")(lambda: body)
    with served_h2c(app) as live, http2(live) as client:
        assert client.get("/").body == body


def test_requests_of_one_connection_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=60)
    app = Carboy(__name__)

    @app.get("/meet")
    def meet() -> str:
        meeting.wait()
        return "met"

    with served_h2c(app) as live, http2(live) as client:
        numbers = [client.request(path="/meet") for _ in range(3)]
        assert [client.reply(number).body for number in numbers] == [b"met"] * 3


def test_a_generator_is_sent_piece_by_piece() -> None:
    more = threading.Event()
    app = Carboy(__name__)

    @app.get("/")
    def pieces() -> Response:
        def made() -> Iterator[bytes]:
            yield b"first"
            more.wait(60)
            yield b"second"

        return Response(made())

    with served_h2c(app) as live, http2(live) as client:
        number = client.request()
        client.until(lambda: client.replies[number].body == b"first")
        more.set()
        assert client.reply(number).body == b"firstsecond"


def test_without_h2c_a_plain_port_speaks_http_1_only() -> None:
    with served(show) as live, live.client() as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert client.reply().status == 505


def test_http_2_is_refused_when_its_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carboy.server.http2.choice.http2_installed", lambda: False)
    with pytest.raises(ValueError, match=r"--h2c needs a package. Use: pip install carboy\[http2"):
        Http2Choice(http2=False, h2c=True)
