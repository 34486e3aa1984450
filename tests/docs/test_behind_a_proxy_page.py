"""docs/behind-a-proxy.md: its configurations, run by nginx, HAProxy and Caddy."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

import carboy
from carboy.net import listen_tcp
from carboy.net.tls import TlsStream
from carboy.server.bind import Address, SocketFile, open_sockets
from certificates import Authority
from chromium import program
from documented import plan_of
from live_engine import Client, Live, served
from running import PATIENCE, die_with_parent, free_port
from websocket_client import RawWebSocket, close, handshake

PAGE = (Path(__file__).parents[2] / "docs" / "behind-a-proxy.md").read_text()
COMMANDS = [
    line.removeprefix("$ ") for line in re.findall(r"^\$ carboy run .*$", PAGE, re.MULTILINE)
]
OPTIONS = re.findall(r"`(--trusted-proxies [^`]*|--proxy-protocol [^`]*)`", PAGE)
HOST = "shop.example"
CLIENT = "127.0.0.2"  # its address
AUTHORITY = Authority()
FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=6.6.6.6;host=evil.example",
}
more = threading.Event()  # the stream of events may continue


def snippet(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def shop() -> carboy.Flask:
    app = carboy.Flask("shop")

    @app.get("/")
    def facts() -> dict[str, Any]:
        request = carboy.request
        proxied = request.proxy_protocol
        return {
            "client": request.remote_addr,
            "url": carboy.url_for("facts", _external=True),
            "secure": request.is_secure,
            "prefix": request.script_root,
            "authority": proxied and proxied.authority,
            "tls": proxied and proxied.tls and proxied.tls.version,
        }

    @app.get("/events")
    def events() -> Any:
        def made() -> Iterator[str]:
            yield "first"
            more.wait(PATIENCE)
            yield "second"

        more.clear()
        return carboy.sse(made())

    @app.websocket("/echo")
    def echo(ws: Any) -> None:
        for message in ws:
            ws.send(f"{carboy.request.remote_addr} {message}")

    return app


class Proxy:
    """A proxy that runs: where it listens, and a server behind it."""

    def __init__(self, port: int, live: Live) -> None:
        self.port = port
        self.live = live

    @contextmanager
    def socket(self, tls: bool = True) -> Iterator[socket.socket]:
        plain = socket.create_connection(
            ("127.0.0.1", self.port), PATIENCE, source_address=(CLIENT, 0)
        )
        with plain:
            if not tls:
                yield plain
                return
            with AUTHORITY.client().wrap_socket(plain, server_hostname=HOST) as sock:
                yield sock

    @contextmanager
    def client(self, tls: bool = True) -> Iterator[Client]:
        with self.socket(tls) as sock:
            client = Client(sock)
            try:
                yield client
            finally:
                client.file.close()

    def facts(self, tls: bool = True, **headers: str) -> dict[str, Any]:
        with self.client(tls) as client:
            client.request("GET", "/", {"Host": f"{HOST}:{self.port}", **headers})
            found: dict[str, Any] = json.loads(client.reply().body)
            return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that other users may enter, with the certificate of the proxy."""
    path = Path(tempfile.mkdtemp(prefix="carboy-proxy-"))
    path.chmod(0o755)
    signed = AUTHORITY.sign(HOST)
    (path / "fullchain.pem").write_bytes(signed.certificate)
    (path / "privkey.pem").write_bytes(signed.key)
    (path / "haproxy.pem").write_bytes(signed.certificate + signed.key)
    yield path
    shutil.rmtree(path)


def with_files(config: str, folder: Path) -> str:
    return config.replace("/etc/shop", str(folder)).replace("/run/shop", str(folder))


@contextmanager
def running(*command: str, pass_fds: tuple[int, ...] = (), **env: str) -> Iterator[None]:
    process = subprocess.Popen(
        [program(command[0]), *command[1:]],
        env={**os.environ, **env},
        pass_fds=pass_fds,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call into the kernel
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()


@contextmanager
def nginx(config: str, folder: Path, listener: socket.socket) -> Iterator[None]:
    """nginx with a socket that is already open, at the address of the configuration."""
    listener.setblocking(False)
    file = folder / "nginx.conf"
    file.write_text(config)
    with running(
        "nginx", "-p", str(folder), "-c", str(file),
        pass_fds=(listener.fileno(),), NGINX=f"{listener.fileno()};",
    ):  # fmt: skip
        yield


def nginx_base(folder: Path) -> str:
    return f"daemon off; pid {folder}/pid; error_log {folder}/log; events {{}}\n"


@contextmanager
def nginx_web(folder: Path, listener: socket.socket) -> Iterator[None]:
    config = with_files(snippet("nginx"), folder)
    config = config.replace("listen 443", f"listen 127.0.0.1:{listener.getsockname()[1]}")
    paths = "".join(
        f"{name}_temp_path {folder};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user www-data;" if os.getuid() == 0 else ""
    with nginx(
        f"{user} {nginx_base(folder)} http {{ access_log off; {paths}\n{config} }}",
        folder, listener,
    ):  # fmt: skip
        yield


@contextmanager
def haproxy(config: str, folder: Path, listener: socket.socket) -> Iterator[None]:
    fd = listener.fileno()
    file = folder / "haproxy.cfg"
    file.write_text(with_files(config, folder).replace("bind :443", f"bind fd@{fd}"))
    with running("haproxy", "-db", "-f", str(file), pass_fds=(fd,)):
        yield


@contextmanager
def haproxy_web(folder: Path, listener: socket.socket) -> Iterator[None]:
    with haproxy(snippet("haproxy"), folder, listener):
        yield


@contextmanager
def caddy_web(folder: Path, listener: socket.socket) -> Iterator[None]:
    """Caddy cannot take an open socket: it gets the port when the socket is closed."""
    port = listener.getsockname()[1]
    tls = f"tls {folder}/fullchain.pem {folder}/privkey.pem"
    config = with_files(snippet("caddy"), folder)
    config = config.replace("shop.example {", f"https://shop.example:{port} {{\n{tls}")
    options = "admin off\nauto_https disable_redirects\nstorage file_system " + str(folder)
    (folder / "Caddyfile").write_text(f"{{\n{options}\n}}\n{config}")
    listener.close()
    own = {"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    file = str(folder / "Caddyfile")
    with running("caddy", "run", "--config", file, "--adapter", "caddyfile", **own):
        yield


WEB: dict[str, Callable[[Path, socket.socket], Any]] = {
    "nginx": nginx_web,
    "haproxy": haproxy_web,
    "caddy": caddy_web,
}


def await_proxy(proxy: Proxy, tls: bool = True) -> None:
    """Wait until the proxy answers, and knows its server; proxies do not say when."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with proxy.client(tls) as client:
                client.request("GET", "/", {"Host": HOST})
                if client.reply().status == 200:
                    return
        except (OSError, HTTPException):
            pass
        assert time.monotonic() < deadline, "the proxy does not answer"
        time.sleep(0.02)


@pytest.fixture(scope="module", params=WEB)
def web(request: pytest.FixtureRequest, folder: Path) -> Iterator[Proxy]:
    """A proxy before a server on a unix socket, made as the page says."""
    program(request.param)
    file = SocketFile(group="www-data") if os.getuid() == 0 else None
    (sock,) = open_sockets([Address(path=str(folder / "web.sock"))], 64, file)
    with ExitStack() as stack:
        live = stack.enter_context(served(shop(), listener=sock))
        stack.callback((folder / "web.sock").unlink)
        listener = stack.enter_context(listen_tcp("127.0.0.1", free_port()))
        proxy = Proxy(listener.getsockname()[1], live)
        stack.enter_context(WEB[request.param](folder, listener))
        await_proxy(proxy)
        yield proxy


def test_the_client_its_scheme_and_host_pass_the_proxy_and_nothing_else(web: Proxy) -> None:
    expected = {
        "client": CLIENT,
        "url": f"https://{HOST}:{web.port}/",
        "secure": True,
        "prefix": "",
        "authority": None,
        "tls": None,
    }
    assert web.facts() == expected
    assert web.facts(**FORGED) == expected


def test_events_pass_the_proxy_at_once(web: Proxy) -> None:
    with web.client() as client:
        client.request("GET", "/events", {"Host": HOST})
        client.until(b"data: first\n\n")
        more.set()
        client.until(b"data: second\n\n")


def test_websockets_pass_the_proxy(web: Proxy) -> None:
    place = f"{HOST}:{web.port}"
    with web.client() as client:
        client.send(handshake("/echo", Host=place, Origin=f"https://{place}"))
        assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        websocket = RawWebSocket(client)
        for text in ("hello", "x" * 100_000):
            websocket.text(text)
            assert websocket.read().payload == f"{CLIENT} {text}".encode()
        websocket.send(close())


# --- the PROXY protocol


@contextmanager
def tcp_server(**settings: Any) -> Iterator[Live]:
    with served(shop(), proxy_protocol=True, trusted_proxies="127.0.0.1", **settings) as live:
        yield live


def test_haproxy_passes_on_connections_with_the_facts_of_tls(folder: Path) -> None:
    with tcp_server() as live, listen_tcp("127.0.0.1", 0) as listener:
        proxy = Proxy(listener.getsockname()[1], live)
        config = snippet("haproxy-tcp").replace("10.0.0.1:8000", f"127.0.0.1:{live.port}")
        with haproxy(config, folder, listener):
            await_proxy(proxy)
            found = proxy.facts()
    assert found["client"] == CLIENT
    assert found["secure"] is True
    assert found["authority"] == HOST
    assert found["tls"].startswith("TLSv1")


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
def test_haproxy_sends_both_versions(option: str, folder: Path) -> None:
    with tcp_server() as live, listen_tcp("127.0.0.1", 0) as listener:
        proxy = Proxy(listener.getsockname()[1], live)
        config = re.sub(r"send-proxy-v2.*", option, snippet("haproxy-tcp"))
        config = re.sub(r" ssl crt .*", "", config)
        config = config.replace("10.0.0.1:8000", f"127.0.0.1:{live.port}")
        with haproxy(config, folder, listener):
            await_proxy(proxy, tls=False)
            assert proxy.facts(tls=False)["client"] == CLIENT


def test_nginx_passes_on_connections_whose_tls_the_server_ends(folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "fullchain.pem", folder / "privkey.pem")
    module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    if not module.exists():
        program("nginx with libnginx-mod-stream")
    with (
        tcp_server(wrap=lambda sock: TlsStream(sock, context)) as live,
        listen_tcp("127.0.0.1", 0) as listener,
    ):
        proxy = Proxy(listener.getsockname()[1], live)
        config = snippet("nginx-stream").replace("10.0.0.1:8443", f"127.0.0.1:{live.port}")
        config = config.replace("listen 443", f"listen 127.0.0.1:{proxy.port}")
        with nginx(f"load_module {module}; {nginx_base(folder)}{config}", folder, listener):
            await_proxy(proxy)
            found = proxy.facts()
    assert (found["client"], found["secure"]) == (CLIENT, True)


# --- the commands


@pytest.mark.parametrize(
    "command", [*COMMANDS, *(f"carboy run shop:app {each}" for each in OPTIONS)]
)
def test_the_commands_are_accepted(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "shop.py").write_text("def app(environ, start_response): ...\n")
    if command.endswith("--trusted-proxies"):
        command += " 173.245.48.0/20"
    assert plan_of(command, monkeypatch)
