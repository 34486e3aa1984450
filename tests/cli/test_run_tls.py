"""`carboy run --cert` as a process, with curl as the client."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from carboy.acme.settings import acme_settings
from carboy.cli import banner
from carboy.cli.main import make_group
from carboy.net.listener import listen_tcp
from carboy.server.passed_sockets import PassedSockets
from carboy.server.processes.plan import Plan
from carboy.server.serve import plain_listeners
from carboy.server.settings import Settings
from carboy.server.tls_setup import tls_server
from certificates import Authority
from live_engine import eventually
from running import PATIENCE, Running, carboy

APP = """
import os, time
from pathlib import Path
from carboy import Carboy, request

app = Carboy(__name__)

@app.route("/", methods=["GET", "POST"])
def hello():
    return f"{request.scheme} {request.is_secure} {len(request.data)}"

@app.get("/pid")
def pid():
    return str(os.getpid())

@app.get("/wait")
def wait():
    print("waiting", flush=True)
    while not Path("go").exists():
        time.sleep(0.01)
    return "done"
"""
AUTHORITY = Authority()
CONTEXT = AUTHORITY.client()
PAIR = ("--cert", "server.pem", "--key", "server-key.pem")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "ca.pem").write_text(AUTHORITY.pem)
    AUTHORITY.sign("localhost", "127.0.0.1").write(tmp_path)
    return tmp_path


def curl(server: Running, folder: Path, *options: str, path: str = "/") -> str:
    """The output of curl, with the certificate verified."""
    port = server.address()[1]
    done = subprocess.run(
        ["curl", "-sS", "--cacert", str(folder / "ca.pem"), *options,
         f"https://localhost:{port}{path}"],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_curl_gets_a_page_over_both_versions_of_tls(folder: Path) -> None:
    with Running("run", "app", *PAIR, "-p", "0", cwd=folder) as server:
        server.line("https://127.0.0.1:")
        assert "Certificate: localhost, 127.0.0.1 (" in server.line("days left)")
        for version in ("1.2", "1.3"):
            got = curl(server, folder, "--tls-max", version, f"--tlsv{version}")
            assert got == "https True 0"
        (folder / "large").write_bytes(b"x" * 3_000_000)
        sent = ("-H", "Content-Type: x/y", "--data-binary", f"@{folder}/large")
        assert curl(server, folder, *sent) == "https True 3000000"
        assert server.stop() == 0


def test_every_problem_of_the_files_is_shown_at_the_start(folder: Path) -> None:
    told = carboy(folder, "run", "app", *PAIR, "--cert", "a.pem", "--key", "b.pem",
                  "--cert", "c.pem", "--key", "d.pem", code=1)  # fmt: skip
    assert "a.pem cannot be read: No such file or directory." in told
    assert "c.pem cannot be read: No such file or directory." in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--key", "server-key.pem"], "--key requires --cert."),
        (["--client-ca", "ca.pem"], "--client-ca requires --cert or --domain."),
        (["--hsts", "60", "--trusted-proxies", "none"], "--hsts requires --cert or --domain."),
        (["--cert", "server.pem"], "server.pem has no private key in it. Give its key with --key"),
        ([*PAIR, "--key", "x.pem"], "There are 2 --key, but only 1 --cert without a key"),
    ],
)
def test_options_that_do_not_fit_together_are_shown(
    folder: Path, given: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(make_group(), ["run", "app", *given])
    assert done.exit_code == 2
    assert told in " ".join(done.output.split())


# How SIGHUP gets the sockets to new code: workers inherit them, a program alone keeps them by exec.
ALONE, WORKERS = ("--no-supervisor",), ("-w", "2")


@pytest.mark.parametrize(("how", "again"), [(ALONE, "Press Ctrl+C"), (WORKERS, "loaded again")])
def test_clients_of_the_plain_port_are_sent_to_https(
    folder: Path, how: tuple[str, ...], again: str
) -> None:
    place = ("-p", "0", "--redirect-http", "0", "--hsts", "60")
    with Running("run", "app", *PAIR, *place, *how, cwd=folder) as server:
        server.line("Press Ctrl+C")
        for hangups in range(2):
            if hangups:
                server.send(signal.SIGHUP)
                server.line(again, 2 if how is ALONE else 1)
            plain, port = plain_port(server), server.address()[1]
            for path in ("/?a=b", "//x"):
                seen = client(f"http://localhost:{plain}{path}", "-i", "-d", "a=b")
                assert "HTTP/1.1 308 Permanent Redirect" in seen
                assert f"location: https://localhost:{port}{path}\n" in seen.lower()
                assert "strict-transport" not in seen.lower()
            trust = ("--cacert", str(folder / "ca.pem"))
            followed = client(f"http://localhost:{plain}/", "-iL", *trust)
            assert followed.endswith("https True 0")
            assert "strict-transport-security: max-age=60" in followed.lower()  # HTTP/2: lower case
            assert "421" in client(f"http://localhost:{plain}/", "-i", "-H", "Host: evil.test")
        assert server.stop() == 0


def plain_port(server: Running) -> int:
    found = re.search(r"http://127.0.0.1:(\d+)/", server.line("http://"))
    assert found is not None
    return int(found[1])


def client(url: str, *options: str) -> str:
    """The output of curl."""
    done = subprocess.run(
        ["curl", "-sS", "--retry", "5", "--retry-connrefused", *options, url],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    return (done.stdout + done.stderr).replace("\r\n", "\n")


@contextmanager
def connected(server: Running, session: ssl.SSLSession | None = None) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(server.address(), PATIENCE) as sock,
        CONTEXT.wrap_socket(sock, server_hostname="localhost", session=session) as wrapped,
    ):
        yield wrapped


def ask(sock: ssl.SSLSocket, path: str = "/") -> str:
    sock.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    response = http.client.HTTPResponse(sock)
    response.begin()
    return response.read().decode()


def serial(sock: ssl.SSLSocket) -> object:
    found = sock.getpeercert()
    assert found is not None
    return found["serialNumber"]


def test_a_renewed_certificate_is_used_without_a_signal_and_a_broken_one_is_not(
    folder: Path,
) -> None:
    with Running("run", "app", *PAIR, "-p", "0", "-w", "2", cwd=folder) as server:
        with connected(server) as before:
            assert ask(before).startswith("https")
            old = serial(before)
            (folder / "server.pem").write_text("broken")
            server.line("The certificates were not loaded again, the old ones stay.", 2)
            AUTHORITY.sign("localhost").write(folder)
            server.line("The certificates were loaded again: localhost", 2)
            assert ask(before).startswith("https")
            with connected(server) as after:
                assert serial(after) != old
                assert ask(after).startswith("https")
        assert server.stop() == 0


def test_a_hangup_loads_certificates_and_lets_requests_end(folder: Path) -> None:
    with Running("run", "app", *PAIR, "-p", "0", "-w", "2", cwd=folder) as server:
        with connected(server) as before:
            before.send(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
            server.line("waiting")
            old = serial(before)
            AUTHORITY.sign("localhost", "renewed.test").write(folder)
            server.send(signal.SIGHUP)
            server.line("The certificates were loaded again: localhost, renewed.test")
            (folder / "go").touch()
            response = http.client.HTTPResponse(before)
            response.begin()
            assert response.read() == b"done"
        eventually(lambda: _differs(server, old))
        assert server.stop() == 0


def _differs(server: Running, old: object) -> bool:
    with connected(server) as sock:
        return serial(sock) != old


def test_workers_accept_the_session_tickets_of_each_other(folder: Path) -> None:
    with Running("run", "app", *PAIR, "-p", "0", "-w", "2", cwd=folder) as server:
        with connected(server) as first:
            pids = {ask(first, "/pid")}
            session = first.session
        end = time.monotonic() + PATIENCE  # the other worker may be slow to start
        while len(pids) < 2 and time.monotonic() < end:
            with connected(server, session) as sock:
                assert sock.session_reused
                # Kept open in turns, so that the other worker is the one with fewer connections.
                with connected(server, session) as other:
                    assert other.session_reused
                    pids |= {ask(sock, "/pid"), ask(other, "/pid")}
        assert len(pids) == 2
        assert server.stop() == 0


def test_unix_sockets_and_inherited_sockets_speak_tls(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        with Running("run", "app", *PAIR, "--fd", str(fd), "-b", "unix:web.sock", cwd=folder,
                     pass_fds=[fd]) as server:  # fmt: skip
            server.line("Press Ctrl+C to stop")
            assert curl(server, folder) == "https True 0"
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(PATIENCE)
                sock.connect(str(folder / "web.sock"))
                with CONTEXT.wrap_socket(sock, server_hostname="localhost") as wrapped:
                    assert ask(wrapped) == "https True 0"
            assert server.stop() == 0


def test_sockets_of_systemd_speak_tls_and_have_a_plain_port_beside_them(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        start = (
            "import os, runpy, sys; os.dup2(int(sys.argv.pop(1)), 3);"
            "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'};"
            "runpy.run_module('carboy', run_name='__main__')"
        )
        with Running(str(listener.fileno()), "run", "app", *PAIR, "--redirect-http", "0",
                     cwd=folder, command=("-c", start), close_fds=False) as server:  # fmt: skip
            assert curl(server, folder) == "https True 0"
            seen = client(f"http://localhost:{plain_port(server)}/", "-i")
            assert f"https://localhost:{listener.getsockname()[1]}/" in seen
            assert server.stop() == 0


def test_a_plain_port_needs_an_address_and_a_port_that_is_free(folder: Path) -> None:
    shown = carboy(folder, "run", "app", *PAIR, "-b", "unix:x.sock", "--redirect-http", "0", code=1)
    assert "--redirect-http requires an address with a port." in shown
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        shown = carboy(folder, "run", "app", *PAIR, "-p", "0", "--redirect-http", port, code=1)
    assert f"Port {port} is in use by another program" in shown
    shown = carboy(folder, "run", "app", "-p", "0", "--redirect-http", "0", code=2)
    assert "--redirect-http requires --cert or --domain." in shown


def test_the_start_message_names_the_domains_and_the_plain_port(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(banner, "network_addresses", lambda: ["192.0.2.7"])
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    acme = acme_settings(["a.example", "b.example"])
    tls = tls_server((), (), Settings(), acme=acme)
    plan = Plan(addresses=(), tls=tls, acme=acme)
    with listen_tcp("0.0.0.0", 0) as secure, listen_tcp("0.0.0.0", 0) as plain:
        plain.redirects = True
        port, other = secure.getsockname()[1], plain.getsockname()[1]
        shown = banner.Banner("app").lines([secure, plain], plan)
    assert shown[1:8] == [
        f"https://a.example:{port}/",
        f"https://b.example:{port}/",
        f"https://127.0.0.1:{port}/",
        f"https://192.0.2.7:{port}/",
        f"http://127.0.0.1:{other}/",
        f"http://192.0.2.7:{other}/",
        "Certificate: a.example, b.example, temporary until acme-v02.api.letsencrypt.org has"
        " issued one",
    ]
    assert shown[8] == f"State: {folder}/carboy/acme"


def test_a_plain_port_that_cannot_be_used_is_a_warning_with_domain(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    acme = acme_settings("a.example")
    plan = Plan(addresses=(), tls=tls_server((), (), Settings(), acme=acme), acme=acme)
    with listen_tcp("127.0.0.1", 0) as taken, listen_tcp("127.0.0.1", 0) as secure:
        monkeypatch.setattr(sys.modules["carboy.server.serve"], "HTTP", taken.getsockname()[1])
        assert plain_listeners(plan, [secure], PassedSockets()) == []
    assert "the challenge http-01 cannot be answered, only tls-alpn-01" in caplog.text
