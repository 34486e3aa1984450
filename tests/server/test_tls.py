"""An engine under TLS: clients that stop, leave, break rules; files, streams, certificates."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from carboy import Carboy, request
from carboy.middleware.proxy_fix import ProxyFix
from carboy.net.tls_files import Pair
from carboy.net.tls_server import TlsOptions, TlsServer
from carboy.server.serve import serve
from carboy.server.settings import Settings
from carboy.server.tls_setup import tls_fields
from certificates import Authority
from live_engine import GET, LAST, Client, Live, eventually, hello, served
from running import in_a_fresh_process

AUTHORITY = Authority()
CLIENTS = Authority("authority of clients")
ME = CLIENTS.sign(subject={"COMMON_NAME": "me", "ORGANIZATION_NAME": "Carboy"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    AUTHORITY.sign("localhost").write(folder)
    (folder / "clients.pem").write_text(CLIENTS.pem)
    return folder


def tls_of(folder: Path, **options: Any) -> TlsServer:
    pair = Pair(str(folder / "server.pem"), str(folder / "server-key.pem"))
    return TlsServer(TlsOptions(pairs=(pair,), **options))


@contextmanager
def connected(live: Live, context: ssl.SSLContext | None = None) -> Iterator[Client]:
    """A client whose handshake is done."""
    with socket.create_connection(live.address, 60) as sock:
        wrapped = (context or AUTHORITY.client()).wrap_socket(sock, server_hostname="localhost")
        with wrapped:
            client = Client(wrapped)
            try:
                yield client
            finally:
                client.file.close()


def get(live: Live, context: ssl.SSLContext | None = None, path: str = "/") -> Any:
    with connected(live, context) as client:
        client.request("GET", path)
        return client.reply()


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = AUTHORITY.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# --- plain HTTP


@pytest.mark.parametrize(
    ("head", "url"),
    [
        (b"GET /a HTTP/1.1\r\nHost: shop.example:8443\r\n\r\n", "https://shop.example:8443/"),
        (b"OPTIONS * HTTP/1.1\r\nX: y\r\nhOST:[::1]:8443 \r\n\r\n", "https://[::1]:8443/"),
        (b'POST / HTTP/1.1\r\nHost: a"><b>\r\nContent-Length: 3\r\n\r\nabc', "https://127.0.0.1:"),
        (b"GET / HTTP/1.0\r\n\r\nHost: evil.example\r\n\r\n", "https://127.0.0.1:"),
        (b"G", "https://127.0.0.1:"),
    ],
)
def test_plain_http_gets_a_400_with_the_https_url(folder: Path, head: bytes, url: str) -> None:
    with served(hello, wrap=tls_of(folder), record=True, hsts=60) as live:
        answer = live.ask(head).decode()
        assert answer.startswith("HTTP/1.1 400 Bad Request\r\n")
        assert f"speaks HTTPS, not plain HTTP. Use {url}" in answer
        assert "Connection: close" in answer
        assert "Strict-Transport-Security" not in answer
        eventually(lambda: [record[4] for record in live.records] == [400])
        assert get(live).body == b"hello"


# --- clients that stop


def test_half_open_handshakes_do_not_keep_others_from_being_served(folder: Path) -> None:
    begin = client_hello()
    with served(hello, wrap=tls_of(folder)) as live:
        open_ones = []
        for number in range(300):
            sock = socket.create_connection(live.address, 60)
            open_ones.append(sock)
            sock.send(begin[: number % len(begin)])
        try:
            assert get(live).body == b"hello"
            eventually(lambda: len(live.engine.connections) >= 300)
            assert get(live).body == b"hello"
        finally:
            for sock in open_ones:
                sock.close()
        eventually(lambda: not live.engine.connections)


def test_a_handshake_has_the_deadline_of_a_head(folder: Path) -> None:
    begin = client_hello()
    with served(hello, wrap=tls_of(folder), headers_timeout=0.2) as live:
        for part in (b"", begin[:50], begin):
            with live.client() as client:
                client.send(part)
                client.rest()  # to the end: the server has closed
        eventually(lambda: not live.engine.connections)


@pytest.mark.parametrize("half", [True, False])
def test_a_client_may_leave_at_any_byte_of_its_hello(
    folder: Path, half: bool, caplog: pytest.LogCaptureFixture
) -> None:
    begin = client_hello()
    with served(hello, wrap=tls_of(folder)) as live:
        for count in range(0, len(begin) + 1, 41):
            with live.client() as client:
                client.send(begin[:count])
                if half:
                    client.sock.shutdown(socket.SHUT_WR)
                    try:
                        client.rest()
                    except ConnectionResetError:
                        pass
        assert get(live).body == b"hello"
        eventually(lambda: not live.engine.connections)
    assert not caplog.records


def test_bytes_that_are_neither_tls_nor_http_get_an_alert(folder: Path) -> None:
    with served(hello, wrap=tls_of(folder)) as live:
        answer = live.ask(b"\x16\x03\x01\x00\x05hello")
        assert answer[:1] in (b"\x15", b"")  # the record type of an alert
        assert get(live).body == b"hello"


def test_a_connection_cut_without_close_notify_ends_an_upload(folder: Path) -> None:
    called = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        called.set()
        return hello(environ, start_response)

    with served(app, wrap=tls_of(folder)) as live:
        with connected(live) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\npart")
            eventually(lambda: len(live.engine.connections) == 1)
        eventually(lambda: not live.engine.connections)
        assert not called.is_set()


def test_a_client_that_ends_its_side_gets_the_whole_response(folder: Path) -> None:
    with served(hello, wrap=tls_of(folder)) as live, connected(live) as client:
        client.send(LAST)
        socket.socket.shutdown(client.sock, socket.SHUT_WR)
        assert client.rest().endswith(b"hello")


# --- content


def test_uploads_files_and_streams_pass_through_tls(folder: Path) -> None:
    file = folder / "large"
    file.write_bytes(os.urandom(4_000_000))
    app = Carboy(__name__)

    @app.post("/upload")
    def upload() -> str:
        return str(len(request.get_data()))

    @app.get("/file")
    def whole() -> Any:
        from carboy import send_file

        return send_file(file)

    @app.get("/stream")
    def stream() -> Any:
        return (b"x" * 100_000 for _ in range(20))

    with served(app, wrap=tls_of(folder)) as live, connected(live) as client:
        client.request("POST", "/upload", body=b"y" * 3_000_000)
        assert client.reply().body == b"3000000"
        client.request("GET", "/file")
        assert client.reply().body == file.read_bytes()
        client.request("GET", "/stream")
        assert client.reply().body == b"x" * 2_000_000
        client.send(GET.replace(b"/ ", b"/stream ") * 3)  # three requests in one record
        for _ in range(3):
            assert len(client.reply().body) == 2_000_000


def test_a_client_that_does_not_read_holds_no_thread(folder: Path) -> None:
    size = 8_000_000

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x" * (size if environ["PATH_INFO"] == "/large" else 2)]

    with served(app, wrap=tls_of(folder), threads=1) as live, connected(live) as slow:
        slow.request("GET", "/large")
        eventually(lambda: any(each.has_unsent for each in live.engine.connections.values()))
        assert get(live).body == b"xx"
        assert len(slow.reply().body) == size


def test_websockets_of_a_view_pass_through_tls(folder: Path) -> None:
    app = Carboy(__name__)

    @app.websocket("/echo")
    def echo(ws: Any) -> None:
        for message in ws:
            ws.send(message)

    with served(app, wrap=tls_of(folder)) as live:
        where = f"wss://localhost:{live.port}/echo"
        sock = socket.create_connection(live.address, 60)
        with connect(where, sock=sock, ssl=AUTHORITY.client(), max_size=None) as client:
            for message in ("hello", b"x" * 1_000_000, "é" * 100_000):
                client.send(message)
                assert client.recv(60) == message


def test_the_application_sees_https(folder: Path) -> None:
    app = Carboy(__name__)

    @app.get("/")
    def index() -> str:
        from carboy import url_for

        return f"{request.scheme} {request.is_secure} {url_for('index', _external=True)}"

    with served(app, wrap=tls_of(folder)) as live:
        assert get(live).body == b"https True https://example.test/"


def test_a_running_request_ends_after_a_stop_began(folder: Path) -> None:
    began, go = threading.Event(), threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        began.set()
        go.wait(60)
        return hello(environ, start_response)

    with served(app, wrap=tls_of(folder)) as live, connected(live) as client:
        client.send(GET)
        assert began.wait(60)
        live.engine.stop()
        go.set()
        assert client.rest().endswith(b"hello")  # then close_notify: no error in reading
        live.join()


# --- certificates of clients

WHO = "{c.common_name}|{c.subject}|{c.serial}|{c.fingerprint}|{c.issuer}|{c.ends:%Y}"


def who() -> str:
    found = request.client_certificate
    return "no one" if found is None else WHO.format(c=found)


@pytest.mark.parametrize("lane", ["direct", "wsgi"])
def test_a_view_gets_the_certificate_of_the_client(folder: Path, lane: str) -> None:
    app = Carboy(__name__)
    app.get("/")(who)
    if lane == "wsgi":
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    tls = tls_of(folder, client_ca=str(folder / "clients.pem"), client_cert="optional")
    with served(app, wrap=tls) as live:
        assert get(live).body == b"no one"
        got = get(live, AUTHORITY.client(ME, folder)).body.decode().split("|")
        assert got[:2] == ["me", "O=Carboy,CN=me"] or got[:2] == ["me", "CN=me,O=Carboy"]
        assert int(got[2], 16) == ME.x509.serial_number
        assert len(got[3]) == 64
        assert got[4] == "CN=authority of clients"


def test_the_environ_has_the_names_of_apache(folder: Path) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        names = sorted(name for name in environ if name.startswith("SSL_"))
        return [" ".join([environ["SSL_CLIENT_VERIFY"], *names]).encode()]

    tls = tls_of(folder, client_ca=str(folder / "clients.pem"), client_cert="optional")
    with served(app, wrap=tls) as live:
        with connected(live) as client:
            client.request("GET", "/", {"SSL_CLIENT_CERT": "forged", "Ssl-Client-Cert": "forged"})
            assert client.reply().body == b"NONE SSL_CLIENT_VERIFY"
        parts = get(live, AUTHORITY.client(ME, folder)).body.decode().split()
        assert parts[0] == "SUCCESS"
        assert {"SSL_CLIENT_CERT", "SSL_CLIENT_S_DN", "SSL_CLIENT_M_SERIAL"} < set(parts)


@pytest.mark.parametrize("stranger", [True, False])
def test_a_client_without_a_certificate_that_is_trusted_is_refused(
    folder: Path, stranger: bool
) -> None:
    tls = tls_of(folder, client_ca=str(folder / "clients.pem"))
    context = AUTHORITY.client()
    if stranger:
        context = AUTHORITY.client(Authority("a stranger").sign("me"), folder)
    with served(hello, wrap=tls) as live:
        with pytest.raises((ssl.SSLError, ConnectionResetError, AssertionError)):
            get(live, context)
        assert get(live, AUTHORITY.client(ME, folder)).body == b"hello"


# --- HSTS


def test_hsts_is_sent_over_tls_once_and_the_application_may_set_its_own(folder: Path) -> None:
    own = "Strict-Transport-Security"

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        fields = [(own, "max-age=1")] if environ["PATH_INFO"] == "/own" else []
        start_response("200 OK", fields)
        return [b"ok"]

    with served(app, wrap=tls_of(folder), hsts=31536000) as live:
        for _ in range(2):
            assert get(live).headers.get_all(own) == ["max-age=31536000"]
            assert get(live, path="/own").headers.get_all(own) == ["max-age=1"]
    with served(app, hsts=31536000) as live:
        assert live.get().headers.get_all(own) is None


# --- loading again


def test_open_connections_go_on_while_the_certificate_is_replaced(tmp_path: Path) -> None:
    AUTHORITY.sign("localhost").write(tmp_path)
    tls = tls_of(tmp_path)
    with served(hello, wrap=tls) as live, connected(live) as before:
        before.request("GET", "/")
        assert before.reply().body == b"hello"
        serial = _serial(before)
        AUTHORITY.sign("localhost").write(tmp_path)
        assert tls.look(settled=True)
        before.request("GET", "/")
        assert before.reply().body == b"hello"
        with connected(live) as after:
            assert _serial(after) != serial


def _serial(client: Client) -> Any:
    found: Any = client.sock
    return found.getpeercert()["serialNumber"]


def test_a_copy_of_the_process_does_not_end_connections_of_the_original(tmp_path: Path) -> None:
    _fork_in_a_view(str(tmp_path))


@in_a_fresh_process
def _fork_in_a_view(folder: str) -> None:
    AUTHORITY.sign("localhost").write(Path(folder))

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return hello(environ, start_response)

    with served(app, wrap=tls_of(Path(folder)), threads=1) as live, connected(live) as client:
        for _ in range(2):
            client.request("GET", "/")
            assert client.reply().body == b"hello"


def test_serve_takes_ssl_context_as_werkzeug_does(folder: Path) -> None:
    pair = str(folder / "server.pem"), str(folder / "server-key.pem")
    files = tls_fields(pair, (), (), Settings(tls_min="1.3"))["tls"]
    assert files.options.minimum == "1.3"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    for given, trusted in ((context, True), ("adhoc", False)):
        with served(hello, wrap=tls_fields(given, (), (), Settings())["wrap"]) as live:
            if trusted:
                assert get(live).status == 200
            else:
                with pytest.raises(ssl.SSLCertVerificationError):
                    get(live)
    with pytest.raises(ValueError, match="Leave out one of them"):
        tls_fields(context, pair[0], pair[1], Settings())
    with pytest.raises(ValueError, match="--redirect-http requires --cert or --domain."):
        serve(hello, ssl_context=context, redirect_http=0)
