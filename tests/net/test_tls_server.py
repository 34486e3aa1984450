"""Certificates of a server: read, checked, chosen by name and loaded again when they change."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carboy.net.certificate_error import CertificateError
from carboy.net.tls_files import PASSWORD, Pair, has_key, read
from carboy.net.tls_server import TlsOptions, TlsServer
from certificates import Authority

AUTHORITY = Authority()
OTHER = AUTHORITY.sign("other.example")


def server(*pairs: Pair, **options: Any) -> TlsServer:
    return TlsServer(TlsOptions(pairs=pairs, **options))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(*AUTHORITY.sign("localhost", "127.0.0.1").write(tmp_path))


def hands(
    tls: TlsServer, context: ssl.SSLContext | None = None, name: str = "localhost",
    session: ssl.SSLSession | None = None,
) -> ssl.SSLObject:  # fmt: skip
    """The client after a handshake in memory and a byte of data, with which tickets come."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = (context or AUTHORITY.client()).wrap_bio(
        to_client, to_server, server_hostname=name or None, session=session
    )
    ours = tls.contexts.default.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (client, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    ours.write(b"x")
    assert client.read(1) == b"x"
    return client


def certificate_for(tls: TlsServer, name: str) -> str:
    """The common name of the certificate that a client gets."""
    context = AUTHORITY.client()
    context.check_hostname = False
    found: Any = hands(tls, context, name).getpeercert()
    return str(dict(each[0] for each in found["subject"])["commonName"])


# --- files


def test_a_bundle_has_certificate_and_key_in_one_file(tmp_path: Path) -> None:
    signed = AUTHORITY.sign("localhost")
    for number, parts in enumerate(
        ((signed.certificate, signed.key), (signed.key, signed.certificate))
    ):
        file = tmp_path / f"{number}.pem"
        file.write_bytes(b"".join(parts))
        assert has_key(str(file))
        assert certificate_for(server(Pair(str(file))), "localhost") == "localhost"


def test_an_encrypted_key_is_loaded_with_the_password_of_a_file_or_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = AUTHORITY.sign("localhost")
    certificate, key = signed.write(tmp_path)
    Path(key).write_bytes(signed.locked_key(b"a secret"))
    password = tmp_path / "password"
    password.write_text("a secret\nanother line\n")
    assert server(Pair(certificate, key), password_file=str(password)).names() == ["localhost"]
    monkeypatch.setenv(PASSWORD, "a secret")
    assert server(Pair(certificate, key)).names() == ["localhost"]


@pytest.mark.parametrize("password", [None, b"a secret"])
def test_a_pkcs12_file_has_certificate_chain_and_key(
    tmp_path: Path, password: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "server.p12"
    file.write_bytes(AUTHORITY.sign("localhost").pkcs12(password))
    if password is not None:
        with pytest.raises(CertificateError, match="A password is needed for .*server.p12"):
            server(Pair(str(file)))
        monkeypatch.setenv(PASSWORD, "wrong")
        with pytest.raises(CertificateError, match="The password does not fit .*server.p12"):
            server(Pair(str(file)))
        monkeypatch.setenv(PASSWORD, password.decode())
    assert has_key(str(file))
    assert certificate_for(server(Pair(str(file))), "localhost") == "localhost"


def damaged(text: bytes) -> bytes:
    return text.replace(b"\nMII", b"\nMIX", 1)


WRONG: list[tuple[str, Callable[[Path, Path], object], str]] = [
    ("a missing file", lambda c, k: c.unlink(), "server.pem cannot be read: No such file"),
    ("a folder", lambda c, k: (k.unlink(), k.mkdir()), "key.pem cannot be read: Is a directory"),
    ("text", lambda c, k: c.write_text("hello"), "does not contain a certificate in PEM format"),
    ("no key", lambda c, k: k.write_text("hello"), "key.pem does not contain a private key"),
    ("another key", lambda c, k: k.write_bytes(OTHER.key), "key.pem does not belong to the cert"),
    ("a locked key", lambda c, k: k.write_bytes(OTHER.locked_key(b"x")), "key.pem is encrypted"),
    (
        "DER",
        lambda c, k: c.write_bytes(ssl.PEM_cert_to_DER_cert(OTHER.certificate.decode())),
        "server.pem is in DER format. Convert it to PEM: openssl x509",
    ),
    ("damage", lambda c, k: c.write_bytes(damaged(c.read_bytes())), "server.pem is damaged"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "told"), [each[1:] for each in WRONG],
                         ids=[each[0] for each in WRONG])  # fmt: skip
def test_a_file_that_cannot_be_used_is_named_with_the_reason(
    pair: Pair, change: Callable[[Path, Path], object], told: str
) -> None:
    assert pair.key is not None
    change(Path(pair.certificate), Path(pair.key))
    with pytest.raises(CertificateError) as problem:
        read(pair)
    assert told in str(problem.value)


def test_a_wrong_password_is_shown(pair: Pair, tmp_path: Path) -> None:
    assert pair.key is not None
    signed = AUTHORITY.sign("localhost")
    signed.write(tmp_path)
    Path(pair.key).write_bytes(signed.locked_key(b"right"))
    with pytest.raises(CertificateError, match="The password does not fit the key in .*key.pem"):
        read(pair, b"wrong")


def test_all_problems_are_shown_at_once(pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(CertificateError) as problem:
        server(pair, Pair("/one.pem"), Pair("/two.pem"), client_ca="/ca.pem",
               password_file="/password")  # fmt: skip
    lines = str(problem.value).splitlines()
    assert [line.split()[0] for line in lines] == ["/password", "/one.pem", "/two.pem", "/ca.pem"]


# --- settings


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ciphers": "NONE-OF-THESE"}, "--tls-ciphers NONE-OF-THESE names no cipher"),
        ({"curve": "flat"}, "--tls-curve flat is not a curve"),
    ],
)
def test_a_setting_that_openssl_does_not_know_is_shown(
    pair: Pair, options: dict[str, str], told: str
) -> None:
    with pytest.raises(CertificateError, match=told):
        server(pair, **options)


def test_the_oldest_version_is_a_setting(pair: Pair) -> None:
    old = AUTHORITY.client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert hands(server(pair), old).version() == "TLSv1.2"
    with pytest.raises(ssl.SSLError, match="(?i)version|protocol"):
        hands(server(pair, minimum="1.3"), old)


def test_old_versions_ciphers_without_forward_secrecy_and_renegotiation_are_off(
    pair: Pair,
) -> None:
    context = server(pair).contexts.default
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert all(
        each["name"].startswith(("ECDHE-", "TLS_")) and "GCM" in each["name"] + "GCM" * (
            "CHACHA20" in each["name"])
        for each in context.get_ciphers()
    )  # fmt: skip
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


def test_a_client_learns_the_protocol_by_alpn_and_is_served_without_one(
    pair: Pair,
) -> None:
    for offered, chosen in ((["h2", "http/1.1"], "http/1.1"), (["h2"], None), ([], None)):
        context = AUTHORITY.client()
        if offered:
            context.set_alpn_protocols(offered)
        assert hands(server(pair), context).selected_alpn_protocol() == chosen


# --- names


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> TlsServer:
    folder = tmp_path_factory.mktemp("several")
    names = (("first.example",), ("shop.example", "*.shop.example"), ("blog.shop.example",))
    return server(
        *(Pair(*AUTHORITY.sign(*each).write(folder, str(i))) for i, each in enumerate(names))
    )


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("first.example", "first.example"),
        ("shop.example", "shop.example"),
        ("SHOP.example", "shop.example"),
        ("www.shop.example", "shop.example"),
        ("blog.shop.example", "blog.shop.example"),
        ("a.b.shop.example", "first.example"),
        ("unknown.example", "first.example"),
        ("", "first.example"),
    ],
)
def test_the_certificate_is_chosen_by_the_name_that_the_client_asks_for(
    several: TlsServer, asked: str, got: str
) -> None:
    assert certificate_for(several, asked) == got


def test_the_facts_name_the_certificate_that_was_chosen(several: TlsServer) -> None:
    assert several.names()[:2] == ["first.example", "shop.example"]
    assert several.days_left() in (29, 30)
    assert several.summary().startswith("first.example, shop.example, *.shop.example and 1 more (")


# --- loading again


def test_a_changed_certificate_is_loaded_when_its_files_have_settled(
    pair: Pair, tmp_path: Path
) -> None:
    tls = server(pair)
    assert not tls.look()
    AUTHORITY.sign("new.example").write(tmp_path)
    assert not tls.look()  # the key may follow
    assert tls.look()
    assert certificate_for(tls, "new.example") == "new.example"
    assert not tls.look()


def test_a_signal_loads_changed_files_at_once(pair: Pair, tmp_path: Path) -> None:
    tls = server(pair)
    AUTHORITY.sign("new.example").write(tmp_path)
    assert tls.look(settled=True)


@pytest.mark.parametrize("kind", ["certbot", "kubernetes"])
def test_links_that_lead_to_other_files_are_noticed(tmp_path: Path, kind: str) -> None:
    """certbot replaces a link for each file, Kubernetes one link of the folder, by a rename."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        AUTHORITY.sign(f"v{version}.example").write(tmp_path / version)
    (tmp_path / "data").symlink_to("1")
    for name in ("server.pem", "server-key.pem"):
        (tmp_path / name).symlink_to(("1/" if kind == "certbot" else "data/") + name)
    tls = server(Pair(str(tmp_path / "server.pem"), str(tmp_path / "server-key.pem")))
    assert tls.names() == ["v1.example"]
    if kind == "certbot":
        for name in ("server.pem", "server-key.pem"):
            (tmp_path / "new").symlink_to(f"2/{name}")
            os.replace(tmp_path / "new", tmp_path / name)
    else:
        (tmp_path / "new").symlink_to("2")
        os.replace(tmp_path / "new", tmp_path / "data")
    tls.look()
    assert tls.look()
    assert tls.names() == ["v2.example"]


def test_a_bad_new_file_is_logged_once_and_the_old_certificate_stays(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    tls = server(pair)
    Path(pair.certificate).write_bytes(OTHER.certificate)
    for _ in range(4):
        assert not tls.look()
    (record,) = caplog.records
    assert "the old ones stay" in record.getMessage()
    assert "does not belong to the certificate" in record.getMessage()
    assert certificate_for(tls, "localhost") == "localhost"
    assert pair.key is not None
    Path(pair.key).write_bytes(OTHER.key)
    tls.look()
    assert tls.look()
    assert certificate_for(tls, "other.example") == "other.example"


def test_certificates_that_expire_soon_are_shown(tmp_path: Path) -> None:
    told = {}
    for name, days, begins in (("old", -1, -9), ("soon", 5, -1), ("early", 60, 9), ("good", 60, 0)):
        signed = AUTHORITY.sign("localhost", days=days, begins=begins)
        told[name] = server(Pair(*signed.write(tmp_path, name))).warnings()
    assert "expired on" in told["old"][0]
    assert "expires on" in told["soon"][0]
    assert "is valid from" in told["early"][0]
    assert told["good"] == []


# --- sessions


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed(pair: Pair, version: ssl.TLSVersion) -> None:
    tls = server(pair)
    context = AUTHORITY.client()
    context.maximum_version = version
    first = hands(tls, context)
    assert first.session is not None
    second = hands(tls, context, session=first.session)
    assert second.session_reused


def test_a_hangup_makes_new_keys_for_tickets(pair: Pair) -> None:
    tls = server(pair)
    context = AUTHORITY.client()
    session = hands(tls, context).session
    assert tls.reload()
    assert not hands(tls, context, session=session).session_reused


def test_options_tell_every_file(pair: Pair) -> None:
    options = TlsOptions(pairs=(pair,), client_ca="ca", password_file="p")
    assert options.files() == [pair.certificate, pair.key, "ca", "p"]
    assert replace(options, client_ca="").files()[2:] == ["p"]
