from __future__ import annotations

import pytest

from carboy.server.settings import Settings, with_values
from carboy.server.trusted_proxies import TrustedProxies, split_words


def trusted(*words: str) -> TrustedProxies:
    return TrustedProxies(words)


def test_by_default_only_unix_sockets_are_trusted() -> None:
    proxies = TrustedProxies(Settings().trust.trusted_proxies)
    assert proxies.peer(None)
    assert not proxies.peer(("127.0.0.1", 1))
    assert proxies.shown() == "unix sockets"


def test_addresses_and_networks_are_trusted() -> None:
    proxies = trusted("192.0.2.7", "10.0.0.0/8", "2001:db8::/32")
    for address in ("192.0.2.7", "10.255.0.1", "2001:db8::1"):
        assert proxies.peer((address, 1))
        assert proxies.hop(address)
    for address in ("192.0.2.8", "11.0.0.1", "2001:db9::1", "::ffff:10.0.0.1", "nonsense", ""):
        assert not proxies.hop(address)
    assert not proxies.peer(None)


def test_private_means_addresses_that_are_not_routed() -> None:
    proxies = trusted("private")
    for address in ("127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "::1", "fd00::1"):
        assert proxies.hop(address)
    for address in ("172.32.0.1", "8.8.8.8", "100.64.0.1", "2001:db8::1"):
        assert not proxies.hop(address)
    assert not proxies.peer(None)


def test_a_star_trusts_every_peer_and_no_address_that_it_names() -> None:
    proxies = trusted("*")
    assert proxies.peer(("8.8.8.8", 1))
    assert proxies.peer(None)
    assert not proxies.hop("8.8.8.8")


def test_the_word_none_trusts_no_peer() -> None:
    assert trusted("none").takes_nothing()
    assert not trusted("none").peer(None)
    assert trusted().shown() == "none"


def test_many_addresses_are_not_all_remembered() -> None:
    proxies = trusted("10.0.0.0/8")
    for number in range(3000):
        proxies.hop(f"10.0.{number >> 8}.{number & 255}")
    assert len(proxies._known) <= 1024


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["10.0.0.300"], "'10.0.0.300' is not an address"),
        (["10.0.0.1/8"], r"Use 10.0.0.0/8 for the network, or 10.0.0.1 for the address"),
        (["localhost"], "is not an address"),
        (["none", "unix"], "'none' excludes other values"),
        (["application", "10.0.0.1"], "'application' excludes other values"),
    ],
)
def test_a_word_that_is_not_known_is_refused(words: list[str], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        TrustedProxies(words)


def test_the_setting_names_its_option() -> None:
    with pytest.raises(ValueError, match="--trusted-proxies: 'x' is not an address"):
        with_values(Settings(), {"trusted_proxies": "x"})
    with pytest.raises(ValueError, match="--forwarded-fields: 'fro' does not name a header"):
        with_values(Settings(), {"forwarded_fields": ["fro"]})


def test_words_come_from_a_text_or_a_list() -> None:
    assert split_words("unix, 10.0.0.1 unix") == ("unix", "10.0.0.1")
    assert split_words(["unix,private", "::1"]) == ("unix", "private", "::1")
    settings = with_values(Settings(), {"trusted_proxies": ["unix", "10.0.0.1"]})
    assert settings.trust.trusted_proxies == ("unix", "10.0.0.1")
