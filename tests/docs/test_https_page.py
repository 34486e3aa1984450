"""The commands and programs of docs/https.md, run as they are, with other ports."""

from __future__ import annotations

import runpy
import ssl
from pathlib import Path

import pytest

from carboy.net.tls_server import TlsServer
from carboy.server.settings import Settings
from carboy.server.tls_setup import tls_server
from certificates import Authority
from documented import Page, plan_of
from live_engine import Client, served
from running import Running

PAGE = Page("https.md")
AUTHORITY = Authority()
CLIENTS = Authority()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all files that the page names."""
    monkeypatch.chdir(tmp_path)
    for name in ("fullchain.pem privkey.pem", "shop.pem shop-key.pem", "blog.pem blog-key.pem"):
        signed = AUTHORITY.sign("localhost", f"{name.partition('.')[0]}.example")
        certificate, key = map(Path, name.split())
        certificate.write_bytes(signed.certificate)
        key.write_bytes(signed.key)
    Path("members-ca.pem").write_text(CLIENTS.pem)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    Path("root.pem").write_text(AUTHORITY.pem)
    Path("shop.py").write_text("def app(environ, start_response): ...\n")
    for name, text in PAGE.programs.items():
        Path(name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("command", [*PAGE.commands, "carboy run"])
def test_the_commands_and_the_table_are_accepted(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command == "carboy run":
        PAGE.write_table()
    plan = plan_of(command, monkeypatch)
    assert isinstance(plan.tls, TlsServer)
    assert plan.redirect_http == (80 if "redirect-http" in command or command == "carboy run"
                                      else None)  # fmt: skip
    assert (plan.acme is not None) == ("--domain" in command)
    public = "443" in command or plan.acme is not None or command == "carboy run"
    assert [each.port for each in plan.addresses] == [443 if public else 8000]
    if "blog.pem" in command:
        assert {"shop.example", "blog.example"} < set(plan.tls.names())


def test_a_program_serves_https_from_python(folder: Path) -> None:
    (folder / "secure.py").write_text(PAGE.programs["secure.py"].replace("8443", "0"))
    with Running(command=("secure.py",), cwd=folder) as server:
        server.line("Serving on https://")
        import urllib.request

        url = f"https://localhost:{server.address()[1]}/"
        with urllib.request.urlopen(url, context=AUTHORITY.client(), timeout=60) as reply:
            assert reply.read() == b"Hello over TLS."


def test_members_are_greeted_by_name(folder: Path) -> None:
    settings = Settings(client_ca="members-ca.pem", client_cert="optional")
    tls = tls_server("fullchain.pem", "privkey.pem", settings)
    signed = CLIENTS.sign(subject={"COMMON_NAME": "Ada"})
    with served(runpy.run_path("members.py")["app"], wrap=tls) as live:
        for context, told in (
            (AUTHORITY.client(signed, folder), b"Hello Ada, your certificate ends on 20"),
            (AUTHORITY.client(), b"Forbidden"),
        ):
            with live.client() as plain:
                sock: ssl.SSLSocket = context.wrap_socket(plain.sock, server_hostname="localhost")
                with sock:
                    client = Client(sock)
                    client.request("GET", "/")
                    assert told in client.reply().body
                    client.file.close()
