"""--proxy-protocol over real sockets, on every lane and before TLS."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

import carboy
from carboy.net import listen_unix
from carboy.net.tls import TlsStream
from carboy.server.settings import Settings, with_values
from certificates import Authority
from live_asgi import served_asgi
from live_engine import GET, LAST, Client, eventually, served

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 443\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
ADDRESSES = bytes([192, 0, 2, 1, 198, 51, 100, 7, 0x12, 0x67, 1, 0xBB])
ON = {"proxy_protocol": True, "trusted_proxies": "127.0.0.1"}


def second(tlvs: bytes = b"", command: int = 0x21) -> bytes:
    rest = ADDRESSES + tlvs
    return SIGNATURE + bytes([command, 0x11]) + len(rest).to_bytes(2, "big") + rest


def flask_app() -> carboy.Flask:
    app = carboy.Flask("proxied")

    @app.get("/")
    def facts() -> dict[str, Any]:
        request = carboy.request
        proxied = request.proxy_protocol
        return {
            "client": request.remote_addr,
            "scheme": request.scheme,
            "authority": proxied and proxied.authority,
        }

    return app


def wsgi_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    proxied = environ.get("carboy.proxy_protocol")
    found = {
        "client": environ["REMOTE_ADDR"],
        "scheme": environ["wsgi.url_scheme"],
        "authority": proxied and proxied.authority,
    }
    start_response("200 OK", [])
    return [json.dumps(found).encode()]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    proxied = scope["extensions"].get("carboy.proxy_protocol", {})
    found = {
        "client": scope["client"][0],
        "scheme": scope["scheme"],
        "authority": proxied.get("authority"),
    }
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(found).encode()})


def facts(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client.reply().body)
    return found


@pytest.mark.parametrize("app", [flask_app(), wsgi_app, asgi_app], ids=["direct", "WSGI", "ASGI"])
def test_the_header_names_the_client(app: Any) -> None:
    tlvs = b"\x02\x00\x09a.example" + b"\x20\x00\x05\x01\0\0\0\0"
    serve = served_asgi if app is asgi_app else served
    with serve(app, record=True, **ON) as live, live.client() as client:
        client.send(second(tlvs) + GET)
        expected = {"client": "192.0.2.1", "scheme": "https", "authority": "a.example"}
        assert facts(client) == expected
        client.send(GET)  # the header comes once
        assert facts(client) == expected
        eventually(lambda: len(live.records) == 2)
        assert live.records[0][1] == "192.0.2.1"


@pytest.mark.parametrize("header", [LINE, second()])
def test_the_header_may_arrive_byte_by_byte(header: bytes) -> None:
    with served(wsgi_app, **ON) as live, live.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header + GET:
            client.send(bytes([byte]))
        assert facts(client)["client"] == "192.0.2.1"


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", second(command=0x20)])
def test_a_header_without_a_client_leaves_the_proxy(header: bytes) -> None:
    with served(wsgi_app, **ON) as live, live.client() as client:
        client.send(header + GET)
        assert facts(client)["client"] == "127.0.0.1"


def test_other_peers_are_served_without_it() -> None:
    settings = {**ON, "trusted_proxies": "10.0.0.1"}
    with served(wsgi_app, **settings) as live:
        with live.client() as client:
            client.send(GET)
            assert facts(client)["client"] == "127.0.0.1"
        assert live.ask(LINE + LAST).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("data", [GET, b"PROXY TCP4 x\r\n" + GET, SIGNATURE + b"\x31" + bytes(40)])
def test_a_wrong_header_ends_the_connection_with_a_line_in_the_log(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with served(wsgi_app, **ON) as live, live.client() as client:
        client.send(data)
        assert client.closed()
    assert "A connection of the proxy 127.0.0.1 was closed (1 so far)." in caplog.text


def test_a_header_that_does_not_come_has_the_time_limit_of_a_head() -> None:
    with served(wsgi_app, headers_timeout=0.1, **ON) as live, live.client() as client:
        client.send(LINE[:9])
        assert client.rest() == b""


def test_a_client_that_leaves_within_the_header_is_forgotten() -> None:
    with served(wsgi_app, **ON) as live:
        with live.client() as client:
            client.send(LINE[:9])
            eventually(lambda: live.engine.connections)
        eventually(lambda: not live.engine.connections)


def test_the_server_is_what_the_client_has_connected_to() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        names = ("SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "REMOTE_PORT")
        return [" ".join(environ[name] for name in names).encode()]

    with served(app, **ON) as live, live.client() as client:
        client.send(LINE + GET)
        assert client.reply().body == b"198.51.100.7 443 192.0.2.1 4711"


def test_hsts_is_sent_if_the_client_has_used_tls() -> None:
    name = "Strict-Transport-Security"
    with served(wsgi_app, hsts=60, **ON) as live:
        with live.client() as client:
            client.send(second(b"\x20\x00\x05\x01\0\0\0\0") + GET)
            assert client.reply().headers[name] == "max-age=60"
        with live.client() as client:
            client.send(second() + GET)
            assert client.reply().headers[name] is None


def test_a_unix_socket_has_it_too(tmp_path: Path) -> None:
    listener = listen_unix(str(tmp_path / "s"))
    with served(wsgi_app, listener=listener, proxy_protocol=True) as live, live.client() as client:
        client.send(LINE + GET)
        assert facts(client)["client"] == "192.0.2.1"


def test_the_fields_of_a_client_behind_a_tcp_proxy_are_not_trusted() -> None:
    forged = GET[:-2] + b"X-Forwarded-For: 6.6.6.6\r\n\r\n"
    with served(wsgi_app, **ON) as live, live.client() as client:
        client.send(LINE + forged)
        assert facts(client)["client"] == "192.0.2.1"


def test_it_comes_before_tls(tmp_path: Path) -> None:
    authority = Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign("localhost").write(tmp_path))
    with served(wsgi_app, wrap=lambda sock: TlsStream(sock, context), **ON) as live:
        with socket.create_connection(live.address, timeout=20) as plain:
            plain.sendall(second())
            trusted = ssl.create_default_context(cadata=authority.pem)
            with trusted.wrap_socket(plain, server_hostname="localhost") as tls:
                client = Client(tls)
                client.send(GET)
                found = facts(client)
                client.file.close()
    assert (found["client"], found["scheme"]) == ("192.0.2.1", "https")


def test_it_needs_a_proxy_that_is_trusted() -> None:
    with pytest.raises(ValueError, match="--proxy-protocol requires --trusted-proxies"):
        with_values(Settings(), {"proxy_protocol": True, "trusted_proxies": "none"})
