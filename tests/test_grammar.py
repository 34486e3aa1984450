"""Tokens, control characters and hosts."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.grammar import HOST, has_control, has_control_or_tab, is_token

is_host = re.compile(HOST).fullmatch
TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_a_token_has_only_the_characters_of_rfc_9110() -> None:
    assert {chr(c) for c in range(0x180) if is_token(chr(c))} == set(TOKEN)
    assert is_token(TOKEN)


@pytest.mark.parametrize("text", ["", "a b", "a\n", "\na", "a:", "ä"])
def test_a_text_with_another_character_is_not_a_token(text: str) -> None:
    assert not is_token(text)


def test_control_characters_are_all_below_space_and_del() -> None:
    controls = {chr(c) for c in range(32)} | {"\x7f"}
    assert {chr(c) for c in range(0x180) if has_control_or_tab(chr(c))} == controls
    assert {chr(c) for c in range(0x180) if has_control(f"a{chr(c)}b")} == controls - {"\t"}


@given(st.ip_addresses(v=6))
def test_every_ipv6_address_is_a_host_in_brackets(address: ipaddress.IPv6Address) -> None:
    assert is_host(f"[{address}]")
    assert is_host(f"[{address.exploded}]:80")


@given(st.text("0123456789abcdef:.", max_size=24))
def test_in_brackets_only_ipv6_addresses_are_hosts(text: str) -> None:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        assert not is_host(f"[{text}]")
    else:
        assert is_host(f"[{text}]")


@pytest.mark.parametrize(
    ("port", "valid"), [(0, True), (65535, True), (65536, False), (99999, False)]
)
def test_a_port_has_sixteen_bits(port: int, valid: bool) -> None:
    assert bool(is_host(f"x:{port}")) is valid


def test_a_port_is_any_number_of_sixteen_bits() -> None:
    assert all(is_host(f"x:{port}") for port in range(0, 65536, 7))
    assert not any(is_host(f"x:{port}") for port in range(65536, 200_000, 997))
