"""Names and settings of certificates that are ordered, as users give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.acme import settings as acme
from carboy.acme.names import host, hosts
from carboy.acme.settings import PRODUCTION, STAGING, acme_settings, state_folder


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Shop.Example.", "shop.example"),
        (" shop.example ", "shop.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
    ],
)
def test_a_name_is_written_as_certificates_have_it(given: str, name: str) -> None:
    assert host(given) == name


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("*.shop.example", "needs the challenge dns-01"),
        ("192.0.2.1", "does not order certificates for IP addresses"),
        ("[2001:db8::1]", "does not order certificates for IP addresses"),
        ("https://shop.example/", "Leave out scheme, port and path"),
        ("shop.example:443", "Leave out scheme, port and path"),
        ("straße.example", "Give the name in its form with xn--"),
        ("a..example", "is not a host name"),
        ("-a.example", "is not a host name"),
        ("a_b.example", "is not a host name"),
        ("", "is not a host name"),
        ("a" * 64 + ".example", "is not a host name"),
        (".".join(["a" * 60] * 5), "is not a host name"),
        ("é" * 80 + ".example", "cannot be converted"),
        ("shop.example\n.evil", "is not a host name"),
    ],
)
def test_a_name_that_cannot_be_ordered_is_explained(given: str, told: str) -> None:
    with pytest.raises(ValueError) as raised:
        host(given)
    assert told in str(raised.value)
    assert str(raised.value).startswith(f"--domain {given}")


@given(st.text(max_size=80))
def test_any_text_is_a_plain_name_or_an_error(text: str) -> None:
    try:
        found = host(text)
    except ValueError:
        return
    assert found.isascii()
    assert not set(found) - set("abcdefghijklmnopqrstuvwxyz0123456789-.")


def test_names_are_there_once_and_at_most_a_hundred() -> None:
    assert hosts(["b.example", "A.example", "a.example."]) == ("b.example", "a.example")
    with pytest.raises(ValueError, match="can have 100 names"):
        hosts(f"a{number}.example" for number in range(101))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"acme_email": "me@a.example"}, "--acme-email requires --domain."),
        ({"acme_staging": True}, "--acme-staging requires --domain."),
        (
            {"domain": "a.example", "acme_staging": True, "acme_directory": "https://b.example/"},
            "Leave out --acme-directory.",
        ),
        ({"domain": "a.example", "acme_directory": "http://b.example/"}, "begins with https://"),
        ({"domain": "a.example", "acme_directory": "b.example"}, "begins with https://"),
        ({"domain": "a.example", "acme_directory": "https://[/"}, "begins with https://"),
        ({"domain": "a.example", "acme_email": "me"}, "--acme-email me is not an address."),
        ({"domain": "a.example", "acme_ca": "/missing.pem"}, "/missing.pem cannot be read"),
    ],
)
def test_settings_that_cannot_work_are_explained(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as raised:
        acme_settings(**values)
    assert told in str(raised.value)


def test_the_directory_is_that_of_lets_encrypt() -> None:
    assert acme_settings() is None
    usual, staging = acme_settings("a.example"), acme_settings(["a.example"], acme_staging=True)
    assert usual is not None and usual.directory == PRODUCTION
    assert staging is not None and staging.directory == STAGING
    assert usual.authority == "acme-v02.api.letsencrypt.org"


def test_without_cryptography_the_command_that_installs_it_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acme, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'carboy\[tls\]'"):
        acme_settings("a.example")


def test_the_state_folder_is_that_of_systemd_or_of_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/carboy:/var/lib/other")
    assert state_folder() == Path("/var/lib/carboy")
    monkeypatch.delenv("STATE_DIRECTORY")
    assert state_folder() == Path("/x/carboy")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert state_folder() == Path("/home/me/.local/state/carboy")
