"""Certificates from pebble: `carboy run --domain` as a user runs it, and both challenges."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carboy.acme.keeper import Keeper
from carboy.acme.problems import Unreachable
from carboy.acme.settings import AcmeSettings
from carboy.acme.temporary import is_temporary
from carboy.acme.transport import Transport
from carboy.gateway.https_redirect import HttpsRedirect
from carboy.net.listener import listen_tcp
from carboy.server.settings import Settings
from carboy.server.tls_setup import tls_server
from live_engine import hello, served
from pebble import Pebble
from running import PATIENCE, Running, carboy

pytestmark = pytest.mark.xdist_group("pebble")
APP = """
from carboy import Carboy
app = Carboy(__name__)
@app.get("/")
def index():
    return "Hello."
"""


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    running = Pebble(tmp_path_factory.mktemp("pebble"))
    yield running
    running.close()


def settings_for(pebble: Pebble, state: Path, *names: str) -> AcmeSettings:
    return AcmeSettings(
        names=names,
        directory=pebble.directory,
        ca=str(pebble.ca),
        state=state,
        email="me@a.example",
    )


def connected(port: int, root: str, name: str = "shop.example") -> ssl.SSLSocket:
    """A client that trusts the authority."""
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    return ssl.create_default_context(cadata=root).wrap_socket(sock, server_hostname=name)


def ask(sock: ssl.SSLSocket) -> bytes:
    sock.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
    response = http.client.HTTPResponse(sock)
    response.begin()
    assert response.status == 200
    return response.read()


def serial(sock: ssl.SSLSocket) -> Any:
    found = sock.getpeercert()
    assert found is not None
    return found["serialNumber"]


def test_a_server_gets_its_certificate_and_renews_it_without_losing_a_connection(
    pebble: Pebble, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(APP)
    options = ["--domain", "shop.example", "--domain", "www.shop.example",
               "--acme-directory", pebble.directory, "--acme-ca", str(pebble.ca),
               "--bind", f"127.0.0.1:{pebble.tls_port}", "--redirect-http", str(pebble.http_port),
               "--workers", "2"]  # fmt: skip
    env = {"XDG_STATE_HOME": str(tmp_path)}
    with Running("run", "shop:app", *options, cwd=tmp_path, env=env) as server:
        server.line("Certificate: shop.example, www.shop.example, temporary until 127.0.0.1")
        state = tmp_path / "carboy" / "acme"
        server.line(f"State: {state}")
        server.line("The certificate for shop.example, www.shop.example is in use until")
        server.line("The certificates were loaded again", 2)  # by both workers
        with connected(pebble.tls_port, pebble.root, "www.shop.example") as before:
            assert ask(before) == b"Hello."
            old = serial(before)

            text = carboy(tmp_path, "certs", "renew", "www.shop.example", **env)
            assert "shop.example: renewed until" in text
            server.line("The certificates were loaded again", 4)
            with connected(pebble.tls_port, pebble.root) as after:
                assert serial(after) != old
                assert ask(after) == b"Hello."
            assert ask(before) == b"Hello."

        found = json.loads(carboy(tmp_path, "certs", "--json", **env))[0]
        assert found["names"] == ["shop.example", "www.shop.example"]
        assert found["issuer"].startswith("Pebble Intermediate CA")
        assert found["days_left"] > 0
        assert found["challenge"] == "http-01"
        assert found["last_error"] is None
        assert "days left, until" in carboy(tmp_path, "certs", **env)
        for path in [state, *state.rglob("*")]:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
        assert server.text().count("An account at") == 1
        assert server.stop() == 0


def test_tls_alpn_01_is_used_and_remembered_when_http_01_fails(
    pebble: Pebble, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    acme = settings_for(pebble, tmp_path, "alpn.example")
    # The authority has no client certificate, and is answered all the same.
    tls = tls_server((), (), Settings(client_ca=str(pebble.ca)), acme=acme)
    assert tls is not None
    keeper = Keeper(acme, ("http-01", "tls-alpn-01"), lambda: tls.look(settled=True))
    listener = listen_tcp("127.0.0.1", pebble.tls_port)
    with caplog.at_level(logging.INFO), served(hello, wrap=tls, listener=listener):
        keeper.turn()
        assert "http-01 for alpn.example failed" in caplog.text
        assert "Check that port 80 of alpn.example leads to this server" in caplog.text
        (identity,) = tls.contexts.identities
        assert not is_temporary(identity.certificate)
        assert keeper.store.status("alpn.example").kind == "tls-alpn-01"
        caplog.clear()
        keeper.store.ask("alpn.example")
        keeper.turn()
        assert "failed" not in caplog.text
        assert "The certificate for alpn.example is in use" in caplog.text


def test_http_01_is_answered_on_the_plain_port(pebble: Pebble, tmp_path: Path) -> None:
    acme = settings_for(pebble, tmp_path, "plain.example")
    tls = tls_server((), (), Settings(), acme=acme)
    assert tls is not None
    keeper = Keeper(acme, ("http-01",))
    gateway = HttpsRedirect(tls.covers, 443, keeper.store.response)
    listener = listen_tcp("127.0.0.1", pebble.http_port)
    with served(None, gateway=gateway, listener=listener):
        keeper.turn()
    assert keeper.store.status("plain.example").problem == ""
    chain = keeper.store.certificate("plain.example").read_text()
    assert chain.count("BEGIN CERTIFICATE") == 2  # the server's own, and the intermediate one


def test_a_name_that_dns_does_not_know_is_explained(
    pebble: Pebble, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pebble.resolver.missing.add("gone.example")
    acme = settings_for(pebble, tmp_path, "gone.example")
    tls_server((), (), Settings(), acme=acme)
    keeper = Keeper(acme, ("http-01", "tls-alpn-01"))
    keeper.turn()
    status = keeper.store.status("gone.example")
    assert "failed" in status.problem
    assert "DNS" in status.problem
    assert status.failures == 1
    assert status.retry_at > status.attempted
    assert f"To make it at once: carboy certs --state {tmp_path} renew gone.example." in caplog.text


def test_the_variable_of_openssl_names_the_authority_of_the_directory(
    pebble: Pebble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(Unreachable, match="name the file of its root with --acme-ca"):
        Transport()(pebble.directory)
    monkeypatch.setenv("SSL_CERT_FILE", str(pebble.ca))
    assert Transport()(pebble.directory).status == 200
