"""The authority for TLS while developing, used by real clients that verify."""

from __future__ import annotations

import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from carboy.net import certificates
from carboy.net.certificates import AuthorityError, local_context
from carboy.net.tls import context_of


@contextmanager
def greeting(context: ssl.SSLContext, refused: bool = False) -> Iterator[int]:
    """A server that answers one TLS client with one HTTP response; its port."""

    def serve() -> None:
        sock, _ = listener.accept()
        if refused:
            with sock, pytest.raises(ssl.SSLError):
                context.wrap_socket(sock, server_side=True).recv(1)
            return
        with context.wrap_socket(sock, server_side=True) as stream:
            stream.recv(4096)
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_client_that_trusts_the_authority_trusts_the_server(tmp_path: Path, name: str) -> None:
    context, made = local_context(folder=tmp_path / "kept")
    with greeting(context) as port:
        done = subprocess.run(
            ["curl", "-sS", "--cacert", str(made.certificate), "--resolve",
             f"{name}:{port}:127.0.0.1", f"https://{name}:{port}/"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.stdout, done.stderr) == ("hi", "")


def test_python_verifies_the_certificate_too(tmp_path: Path) -> None:
    context, made = local_context(["192.168.7.9"], tmp_path)
    client = ssl.create_default_context(cafile=str(made.certificate))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        greeting(context) as port,
        socket.create_connection(("127.0.0.1", port)) as sock,
        client.wrap_socket(sock, server_hostname="192.168.7.9") as stream,
    ):
        stream.sendall(b"x")
        assert stream.recv(100).startswith(b"HTTP/1.1 200")


def test_the_authority_is_made_once_and_signs_again_for_more_names(tmp_path: Path) -> None:
    _, first = local_context(folder=tmp_path)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    _, second = local_context(folder=tmp_path)
    assert (first.created, second.created) == (True, False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
    local_context(["10.1.2.3"], tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    changed = {name for name in after if after[name] != kept.get(name)}
    assert changed == {certificates.SERVER}


def test_a_certificate_of_another_authority_is_replaced(tmp_path: Path) -> None:
    local_context(folder=tmp_path)
    (tmp_path / certificates.AUTHORITY_CERTIFICATE).unlink()
    _, made = local_context(folder=tmp_path)
    assert made.created
    client = ssl.create_default_context(cafile=str(made.certificate))
    context, _ = local_context(folder=tmp_path)
    with (
        greeting(context) as port,
        socket.create_connection(("127.0.0.1", port)) as sock,
        client.wrap_socket(sock, server_hostname="localhost") as stream,
    ):
        stream.sendall(b"x")
        assert stream.recv(1)


OTHERS = ["example.com", "carboy.dev", "notlocalhost", "8.8.8.8", "2001:db8::1", "172.32.0.1"]


@pytest.mark.parametrize("name", OTHERS)
def test_the_authority_signs_for_this_machine_and_private_networks_only(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(AuthorityError, match="not for"):
        local_context([name], tmp_path)
    names = ["app.localhost", "shop.test", "printer.local", "10.0.0.7", "172.31.0.1", "fd00::1"]
    local_context([*names, socket.gethostname().upper()], tmp_path)


@pytest.mark.parametrize("name", ["carboy.dev", "8.8.8.8"])
def test_clients_refuse_what_the_key_has_signed_for_other_names(tmp_path: Path, name: str) -> None:
    _, made = local_context(folder=tmp_path)
    (tmp_path / "other.pem").write_bytes(certificates._signed(tmp_path, ["localhost", name]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "other.pem")
    client = ssl.create_default_context(cafile=str(made.certificate))
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", made.certificate, tmp_path / "other.pem"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "permitted subtree violation" in done.stderr
    with (
        greeting(context, refused=True) as port,
        socket.create_connection(("127.0.0.1", port)) as sock,
        pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"),
    ):
        client.wrap_socket(sock, server_hostname="localhost")


def test_a_new_name_of_the_machine_keeps_the_certificate_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local_context(folder=tmp_path)
    monkeypatch.setattr(socket, "gethostname", lambda: "another-name")
    _, again = local_context(folder=tmp_path)
    assert not again.created
    assert b"another-name" not in (tmp_path / certificates.SERVER).read_bytes()


def test_an_authority_that_could_sign_for_any_name_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(x509.CertificateBuilder, "add_extension", without_constraints)
        certificate, key = certificates._new_authority()
    (tmp_path / certificates.AUTHORITY_CERTIFICATE).write_bytes(certificate)
    (tmp_path / certificates.AUTHORITY_KEY).write_bytes(key)
    assert local_context(folder=tmp_path)[1].created
    assert not local_context(folder=tmp_path)[1].created


def without_constraints(
    self: x509.CertificateBuilder,
    extension: Any,
    critical: bool,
    add: Any = x509.CertificateBuilder.add_extension,
) -> Any:
    return self if isinstance(extension, x509.NameConstraints) else add(self, extension, critical)


def test_only_the_owner_can_read_the_keys(tmp_path: Path) -> None:
    local_context(folder=tmp_path / "kept")
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
    for path in (tmp_path / "kept").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_or_unwritable_folder_is_an_error_with_advice(tmp_path: Path) -> None:
    local_context(folder=tmp_path)
    (tmp_path / certificates.AUTHORITY_CERTIFICATE).write_text("no certificate")
    with pytest.raises(AuthorityError, match="damaged"):
        local_context(folder=tmp_path)
    with pytest.raises(AuthorityError, match="CARBOY_AUTHORITY"):
        local_context(folder=Path("/proc/nowhere/kept"))


def test_the_default_folder_is_for_the_users_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(certificates.AUTHORITY_FOLDER, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert certificates.folder_of_user() == tmp_path / "carboy"
    monkeypatch.setenv(certificates.AUTHORITY_FOLDER, str(tmp_path / "own"))
    assert certificates.folder_of_user() == tmp_path / "own"


@pytest.mark.parametrize(
    ("platform", "program"),
    [("linux", "update-ca-certificates"), ("darwin", "security"), ("win32", "certutil -user")],
)
def test_the_user_is_told_how_to_trust_the_authority(platform: str, program: str) -> None:
    assert program in certificates.how_to_trust(Path("/kept/authority.pem"), platform)[0]


def test_servers_that_start_together_make_one_authority(tmp_path: Path) -> None:
    start = threading.Barrier(4)
    made: list[bool] = []

    def first_start() -> None:
        start.wait()
        made.append(local_context(folder=tmp_path / "kept")[1].created)

    threads = [threading.Thread(target=first_start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False, False, False, True]
    context, found = local_context(folder=tmp_path / "kept")
    client = ssl.create_default_context(cafile=str(found.certificate))
    with greeting(context) as port, socket.create_connection(("127.0.0.1", port)) as sock:
        with client.wrap_socket(sock, server_hostname="localhost") as stream:
            stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert stream.recv(4096).endswith(b"hi")


def test_the_error_for_a_missing_package_has_the_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(AuthorityError, match="pip install cryptography"):
        local_context(folder=tmp_path)
    with pytest.raises(TypeError, match="pip install cryptography"):
        context_of("adhoc")
