"""run_simple and make_server during development; Werkzeug's give the expected results."""

from __future__ import annotations

import datetime
import http.client
import inspect
import io
import logging
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import werkzeug.serving
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

import carboy.net.certificates
import carboy.net.tls
import carboy.serving.addresses
import carboy.serving.chunked
import carboy.serving.handler
import carboy.serving.log
import carboy.serving.wsgi_server
from certificates import unchecked
from running import PATIENCE, Running

BOTH = pytest.mark.parametrize("ours", [True, False], ids=["carboy", "werkzeug"])
UNCHECKED = unchecked()


def make(ours: bool, app: Any, **options: Any) -> Any:
    module: Any = carboy.serving.wsgi_server if ours else werkzeug.serving
    return module.make_server(options.pop("host", "127.0.0.1"), 0, app, **options)


def handler_class(ours: bool) -> Any:
    return (carboy.serving.handler if ours else werkzeug.serving).WSGIRequestHandler  # type: ignore[attr-defined]


@contextmanager
def serving(ours: bool, app: Any, **options: Any) -> Iterator[Any]:
    server = make(ours, app, **options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        server.server_close()


def get(server: Any, path: str = "/", method: str = "GET", **more: Any) -> tuple[int, bytes]:
    connection: http.client.HTTPConnection
    if server.ssl_context is None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    else:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=PATIENCE, context=UNCHECKED
        )
    try:
        connection.request(method, path, **more)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/boom":
        raise ZeroDivisionError("boom")
    start_response(environ["QUERY_STRING"].replace("+", " ") or "200 OK", [])
    return [environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"x"]


# --- the log


def access_lines(ours: bool, requests: list[tuple[str, str]], **options: Any) -> list[str]:
    """The messages of the logger `werkzeug`, without the time."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(re.sub(r"\[[^]]*:\d\d\]", "[…]", record.getMessage()))

    logger = logging.getLogger("werkzeug")
    keep = Keep()
    logger.addHandler(keep)
    logger.setLevel(logging.INFO)
    try:
        with serving(ours, app, **options) as server:
            for method, path in requests:
                get(server, path, method)
    finally:
        logger.removeHandler(keep)
        logger.setLevel(logging.NOTSET)
    return lines


REQUESTS = [
    ("GET", "/"),
    ("HEAD", "/a"),
    ("POST", "/a?301+Moved"),
    ("GET", "/a?304+Not"),
    ("GET", "/a?404+Not"),
    ("BREW", "/a?418+Teapot"),
    ("GET", "/a?500+Oh"),
    ("GET", "/%C3%BC%E2%82%AC%20%0a%25%FF"),
]


@pytest.mark.parametrize("handler", [False, True], ids=["own log", "handler"])
def test_access_lines_are_werkzeugs(handler: bool) -> None:
    def lines(ours: bool) -> list[str]:
        options: dict[str, Any] = {"threaded": True}  # so that Werkzeug speaks HTTP/1.1, too
        if handler:
            options["request_handler"] = handler_class(ours)
        return access_lines(ours, REQUESTS, **options)

    assert lines(True) == lines(False)


def test_every_success_is_plain() -> None:
    """Werkzeug shows 201 and 204 in the colour of errors."""
    assert "\x1b" not in "".join(access_lines(True, [("GET", "/?201+Made"), ("GET", "/?204+No")]))


@BOTH
def test_an_exception_is_a_page_and_a_record_with_its_traceback(
    ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(ours, app) as server:
        status, body = get(server, "/boom")
    assert status == 500
    assert b"<h1>Internal Server Error</h1>" in body
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.name == "werkzeug"
    assert record.getMessage().startswith("Error on request:\nTraceback")
    assert "ZeroDivisionError: boom" in record.getMessage()


@BOTH
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Werkzeug's
def test_passthrough_errors_raises_the_exception(ours: bool) -> None:
    server = make(ours, app, passthrough_errors=True)
    client = threading.Thread(target=_try, args=(server,))
    client.start()
    with pytest.raises(ZeroDivisionError):
        server.serve_forever()
    server.server_close()
    client.join(PATIENCE)


def _try(server: Any) -> None:
    try:
        get(server, "/boom")
    except (OSError, http.client.HTTPException):
        pass


def test_the_address_is_logged_as_by_werkzeug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "werkzeug")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for host, options in (
        ("127.0.0.1", {}),
        ("0.0.0.0", {}),
        ("::1", {}),
        ("localhost", {"ssl_context": context}),
    ):
        told = []
        for ours in (True, False):
            server = make(ours, app, host=host, **options)
            caplog.clear()
            server.log_startup()
            server.server_close()
            lines = caplog.records[0].getMessage().replace(str(server.port), "PORT").splitlines()
            told.append([line for line in lines if line.startswith(" * ")])
        assert told[0] == told[1]


def test_the_path_of_a_unix_socket_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "werkzeug")
    server = make(True, app, host=f"unix://{tmp_path}/s")
    server.log_startup()
    server.server_close()
    assert caplog.records[0].getMessage() == f" * Running on unix://{tmp_path}/s"


def test_styles_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    log = carboy.serving.log
    theirs: Any = werkzeug.serving
    for styles in (("bold", "red"), ("cyan",), ("yellow",), ("magenta",), ("green", "bold")):
        assert log._ansi_style("x", *styles) == theirs._ansi_style("x", *styles)
    monkeypatch.setattr(log, "_log_add_style", False)
    assert log._ansi_style("x", "red") == "x"


# --- handler classes


@BOTH
def test_a_handler_class_can_change_the_environ_and_the_log(ours: bool) -> None:
    calls: list[Any] = []

    class Handler(handler_class(ours)):  # type: ignore[misc]
        def make_environ(self) -> Any:
            environ = super().make_environ()
            environ["QUERY_STRING"] = "404+Changed"
            return environ

        def address_string(self) -> str:
            return "a client"

        def log(self, type: str, message: str, *args: Any) -> None:
            calls.append((type, self.address_string(), message % args))

    with serving(ours, app, request_handler=Handler, threaded=True) as server:
        assert get(server, "/a") == (404, b"x")
    line = '"\x1b[33mGET /a HTTP/1.1\x1b[0m" 404 -'
    assert calls == [("info", "a client", line)]


@BOTH
def test_a_handler_class_can_turn_off_the_log(ours: bool, caplog: pytest.LogCaptureFixture) -> None:
    class Handler(handler_class(ours)):  # type: ignore[misc]
        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            pass

    caplog.set_level(logging.INFO, "werkzeug")
    with serving(ours, app, request_handler=Handler) as server:
        assert get(server)[0] == 200
    assert not caplog.records


@BOTH
def test_a_handler_class_can_answer_a_method_itself(ours: bool) -> None:
    class Handler(handler_class(ours)):  # type: ignore[misc]
        def do_BREW(self) -> None:
            self.send_response(418, "Short")
            self.send_header("X-Who", self.headers["X-I"])
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"tea")

    with serving(ours, app, request_handler=Handler) as server:
        assert get(server, "/", "BREW", headers={"X-I": "me"}) == (418, b"tea")
        assert get(server, "/", "POST", body=b"abc") == (200, b"abc")


@BOTH
def test_a_handler_sees_the_request(ours: bool) -> None:
    seen: dict[str, Any] = {}

    class Handler(handler_class(ours)):  # type: ignore[misc]
        def run_wsgi(self) -> None:
            names = ("command", "path", "requestline", "request_version")
            seen.update({name: getattr(self, name) for name in names})
            seen["host"] = self.headers.get("x-one")
            seen["address"] = self.client_address[0], self.address_string()
            seen["ports"] = self.port_integer() == self.client_address[1] > 0
            super().run_wsgi()
            seen["method"] = self.environ["REQUEST_METHOD"]
            seen["socket"] = isinstance(self.environ["werkzeug.socket"], socket.socket)
            seen["server"] = self.server.app is app
            done.set()

    done = threading.Event()
    with serving(ours, app, request_handler=Handler, threaded=True) as server:
        get(server, "/a?203+x", headers={"X-One": "1"})
        assert done.wait(PATIENCE)  # the client may get its answer first
    assert seen == {
        "command": "GET",
        "path": "/a?203+x",
        "requestline": "GET /a?203+x HTTP/1.1",
        "request_version": "HTTP/1.1",
        "host": "1",
        "address": ("127.0.0.1", "127.0.0.1"),
        "ports": True,
        "method": "GET",
        "socket": True,
        "server": True,
    }


@BOTH
def test_fields_with_underscores_are_in_the_headers_of_a_handler_only(ours: bool) -> None:
    seen: list[Any] = []

    class Handler(handler_class(ours)):  # type: ignore[misc]
        def make_environ(self) -> Any:
            environ = super().make_environ()
            seen.append(self.headers.items())
            seen.append({name: environ[name] for name in environ if name.startswith("HTTP_")})
            return environ

    fields = {"x-A": "1", "X_a": "2", "X_B": "3", "Content_Length": "4", "Cookie": "a=b"}
    with serving(ours, app, request_handler=Handler) as server:
        assert get(server, headers=fields)[0] == 200
    headers, variables = seen
    assert headers[2:] == list(fields.items())
    assert variables.keys() == {"HTTP_HOST", "HTTP_ACCEPT_ENCODING", "HTTP_X_A", "HTTP_COOKIE"}
    assert variables["HTTP_X_A"] == "1"


@pytest.mark.parametrize("handler", [False, True], ids=["plain", "handler"])
def test_late_and_generated_answers_pass_through_a_handler(handler: bool) -> None:
    def late(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("201 Made", [])
        yield b"a"
        yield b"b"

    options = {"request_handler": handler_class(True)} if handler else {}
    with serving(True, late, **options) as server:
        assert get(server) == (201, b"ab")


# --- answers framed by their application


def framed(*pieces: bytes, more: bytes = b"") -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Transfer-Encoding", "chunked")])
        return [*(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces), more, b"0\r\n\r\n"]

    return app


def test_chunks_of_the_application_are_framed_once() -> None:
    with serving(True, framed(b"first", b"second" * 9000)) as server:
        assert get(server) == (200, b"first" + b"second" * 9000)


@pytest.mark.parametrize("more", [b"zz\r\n", b"5\r\nabc\r\n"])
def test_the_client_sees_malformed_chunks_of_the_application(more: bytes) -> None:
    with serving(True, framed(b"first", more=more)) as server:
        with pytest.raises((http.client.IncompleteRead, ConnectionError, ValueError)):
            get(server)


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    base = tmp_path_factory.mktemp("tls") / "dev"
    return carboy.net.certificates.make_ssl_devcert(str(base), host="localhost")


def test_a_development_certificate_is_valid_for_its_host(certificate: tuple[str, str]) -> None:
    def scheme(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["wsgi.url_scheme"].encode() + environ["wsgi.input"].read()]

    trusting = ssl.create_default_context(cafile=certificate[0])
    with serving(True, scheme, ssl_context=certificate) as server:
        connection = http.client.HTTPSConnection(
            "localhost", server.port, timeout=PATIENCE, context=trusting
        )
        for body in (b"", b"a" * 300_000):  # the second on the same connection
            connection.request("POST", "/", body=body)
            assert connection.getresponse().read() == b"https" + body
        connection.close()


@pytest.mark.parametrize("options", [{}, {"threaded": True}, {"processes": 2}], ids=str)
def test_tls_works_ad_hoc_serial_threaded_and_in_processes(options: dict[str, Any]) -> None:
    big = b"0123456789" * 400_000  # more than a socket takes at once

    def answer(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [big]

    with serving(True, answer, ssl_context="adhoc", **options) as server:
        assert get(server) == (200, big)
        assert get(server) == (200, big)


def test_a_file_over_tls_is_complete(tmp_path: Path, certificate: tuple[str, str]) -> None:
    content = bytes(range(256)) * 4000
    (tmp_path / "f").write_bytes(content)

    def answer(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", str(len(content)))])
        return environ["wsgi.file_wrapper"]((tmp_path / "f").open("rb"))

    with serving(True, answer, ssl_context=certificate) as server:
        assert get(server) == (200, content)


def test_plain_http_on_a_tls_port_affects_no_other_client(
    certificate: tuple[str, str],
) -> None:
    with serving(True, app, ssl_context=certificate) as server:
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 400 ")
        assert get(server) == (200, b"x")


def test_tls_on_a_plain_port_is_refused_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "werkzeug")
    with serving(True, app) as server:
        with (
            socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client,
            pytest.raises(ssl.SSLError),
        ):
            UNCHECKED.wrap_socket(client)
        assert get(server)[0] == 200
    assert '" 400 -' in caplog.records[0].getMessage()


def test_a_client_certificate_is_in_the_environ(
    tmp_path: Path, certificate: tuple[str, str]
) -> None:
    trustme_like = _authority(tmp_path)
    context = carboy.net.tls.load_ssl_context(*certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(trustme_like)

    def answer(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ.get("SSL_CLIENT_CERT", "none").encode()]

    mine = ssl.create_default_context(cafile=certificate[0])
    mine.load_cert_chain(trustme_like)
    with serving(True, answer, ssl_context=context) as server:
        assert get(server) == (200, b"none")
        connection = http.client.HTTPSConnection(
            "localhost", server.port, timeout=PATIENCE, context=mine
        )
        connection.request("GET", "/")
        pem = connection.getresponse().read()
        connection.close()
    assert pem.startswith(b"-----BEGIN CERTIFICATE-----")
    assert pem.decode() in Path(trustme_like).read_text()


def _authority(directory: Path) -> str:
    """A certificate that is its own authority, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "me")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = directory / "me.pem"
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(pem))
    return str(file)


def test_the_values_of_ssl_context() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert carboy.net.tls.context_of(context) is context
    with pytest.raises(TypeError, match="adhoc"):
        make(True, app, ssl_context=7)
    with pytest.raises(FileNotFoundError):
        make(True, app, ssl_context=("missing.pem", "missing.key"))


def test_only_the_owner_can_read_a_key(certificate: tuple[str, str]) -> None:
    assert Path(certificate[1]).stat().st_mode & 0o77 == 0


# --- addresses and bodies


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("127.0.0.1", 5),
        ("::1", 5),
        ("localhost", 80),
        ("unix://x", 0),
        ("unix:///a/b", 0),
        ("no.invalid", 5),
    ],
)
def test_addresses_mean_the_same_as_in_werkzeug(host: str, port: int) -> None:
    ours, theirs = carboy.serving.addresses, werkzeug.serving
    family = theirs.select_address_family(host, port)
    assert ours.select_address_family(host, port) == family
    assert ours.get_sockaddr(host, port, family) == theirs.get_sockaddr(host, port, family)


def test_the_interface_address_is_the_same_as_in_werkzeug() -> None:
    for family in (socket.AF_INET, socket.AF_INET6):
        assert carboy.serving.addresses.get_interface_ip(family) == (
            werkzeug.serving.get_interface_ip(family)
        )


def read_all(module: Any, raw: bytes, size: int) -> Any:
    body = module.DechunkedInput(io.BytesIO(raw))
    pieces = []
    try:
        while piece := body.read(size):
            pieces.append(piece)
    except OSError:
        return b"".join(pieces), "OSError"
    return b"".join(pieces)


CHUNKS = st.lists(st.binary(min_size=1, max_size=20), max_size=5)
DAMAGE = st.sampled_from(
    [b"", b"3;x=y\r\nabc\r\n", b"zz\r\n", b"-1\r\n", b"3\r\nabcd\r\n", b"3\r\nab"]
)


@given(CHUNKS, DAMAGE, st.integers(1, 30), st.sampled_from([b"\r\n", b"\n"]))
def test_a_chunked_body_is_read_as_by_werkzeug(
    chunks: list[bytes], damage: bytes, size: int, end: bytes
) -> None:
    raw = b"".join(b"%x%s%s%s" % (len(c), end, c, end) for c in chunks) + damage + b"0" + end + end
    assert read_all(carboy.serving.chunked, raw, size) == read_all(werkzeug.serving, raw, size)


# --- run_simple


SCRIPT = """
from carboy.serving import run_simple
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"app"]
if __name__ == "__main__":
    run_simple("127.0.0.1", 0, app, {options})
"""


def running(tmp_path: Path, options: str) -> Running:
    (tmp_path / "script.py").write_text(SCRIPT.format(options=options))
    return Running(cwd=tmp_path, command=("script.py",))


def test_run_simple_logs_address_stop_key_and_requests(tmp_path: Path) -> None:
    with running(tmp_path, "threaded=True") as server:
        line = server.line(" * Running on http://127.0.0.1:")
        port = int(line.rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/x")
        assert connection.getresponse().read() == b"app"
        connection.close()
        assert '"GET /x HTTP/1.1" 200 -' in server.line("GET /x")
        assert "Press CTRL+C to quit" in server.text()
        assert "development server" not in server.text()  # it is a production server
        assert server.stop() == 0


def test_static_files_have_precedence_over_the_application(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("hello")
    with running(tmp_path, f"static_files={{'/files': {str(tmp_path)!r}}}") as server:
        port = int(server.line(" * Running on http").rpartition(":")[2])
        for path, body in (("/files/hello.txt", b"hello"), ("/", b"app")):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            connection.request("GET", path)
            assert connection.getresponse().read() == body
            connection.close()
        assert server.stop() == 0


def test_methods_of_the_classes_have_werkzeugs_parameters() -> None:
    def parameters(module: ModuleType, name: str) -> Any:
        signature = inspect.signature(getattr(module, name))
        return [(p.name, p.default, p.kind) for p in signature.parameters.values()]

    for name in ("BaseWSGIServer", "ThreadedWSGIServer", "ForkingWSGIServer"):
        assert parameters(carboy.serving.wsgi_server, name) == parameters(werkzeug.serving, name)
