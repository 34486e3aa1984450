from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol.forwarded import (
    HIDDEN,
    Node,
    format_forwarded,
    is_host,
    parse_forwarded,
    parse_list,
    read_node,
)


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("192.0.2.43", Node("192.0.2.43", 0)),
        ("192.0.2.43:47011", Node("192.0.2.43", 47011)),
        ("192.0.2.43:_hidden", Node("192.0.2.43", 0)),
        ("[2001:db8:cafe::17]", Node("2001:db8:cafe::17", 0)),
        ("[2001:DB8:CAFE::17]:4711", Node("2001:db8:cafe::17", 4711)),
        ("2001:db8::1", Node("2001:db8::1", 0)),
        ("::ffff:192.0.2.1", Node("192.0.2.1", 0)),
        ("unknown", HIDDEN),
        ("Unknown:4711", HIDDEN),
        ("_gazonk", HIDDEN),
        ("_SEVKISEK:_port", HIDDEN),
    ],
)
def test_a_node_is_an_address_or_hidden(text: str, node: Node) -> None:
    assert read_node(text) == node


@pytest.mark.parametrize(
    "text",
    [
        *("", "localhost", "192.0.2", "192.0.2.256", "192.0.2.1:65536", "192.0.2.1:", "010.0.0.1"),
        *("[192.0.2.1]", "[2001:db8::1", "2001:db8::1]:80", "fe80::1%eth0", "_", "192.0.2.1\n"),
        *("192.0.2.1 ", "１92.0.2.1", "192.0.2.1:８0", "_a b", "_" + "a" * 300),
    ],
)
def test_a_malformed_node_gives_nothing(text: str) -> None:
    assert read_node(text) is None


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        # RFC 7239, section 4
        ('for="_gazonk"', [{"for": "_gazonk"}]),
        ('For="[2001:db8:cafe::17]:4711"', [{"for": "[2001:db8:cafe::17]:4711"}]),
        (
            "for=192.0.2.60;proto=http;by=203.0.113.43",
            [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}],
        ),
        ("for=192.0.2.43, for=198.51.100.17", [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}]),
        (
            'for=192.0.2.43,for="[2001:db8:cafe::17]"',
            [{"for": "192.0.2.43"}, {"for": "[2001:db8:cafe::17]"}],
        ),
        ('host="a, b; c=\\"d\\\\"', [{"host": 'a, b; c="d\\'}]),
        (", ;for=a ;, ", [{"for": "a"}]),
        ("", []),
    ],
)
def test_elements_of_forwarded_are_read(value: str, elements: list[dict[str, str]]) -> None:
    assert parse_forwarded(value) == elements


@pytest.mark.parametrize(
    "value",
    ["for", "for=", "for =a", "for=a;for=b", "for=a b", 'for="a', 'for="a"b', "for=[::1]", "=a"],
)
def test_a_malformed_forwarded_gives_nothing(value: str) -> None:
    assert parse_forwarded(value) is None


def test_long_values_cause_little_work() -> None:
    assert parse_list("10.0.0.1," * 5000 + "192.0.2.1") == ["10.0.0.1"] * 31 + ["192.0.2.1"]
    assert parse_list("a,b,,c") == ["a", "b", "c"]
    assert parse_forwarded("for=10.0.0.1," * 400) is None


@given(st.text(alphabet='for=",;\\ [:]_a1.\t\x00é', max_size=40))
def test_reading_never_raises(text: str) -> None:
    read_node(text)
    is_host(text)
    parse_list(text)
    parse_forwarded(text)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["for", "by", "proto", "host"]),
            st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
            min_size=1,
        )
    )
)
def test_quoted_values_are_read_as_they_were_written(elements: list[dict[str, str]]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    value = ", ".join(
        ";".join(f"{name}={quoted(text)}" for name, text in each.items()) for each in elements
    )
    assert parse_forwarded(value) == elements


def test_a_written_value_is_read_again() -> None:
    value = format_forwarded("2001:db8::1", "https", "[::1]:8443")
    assert parse_forwarded(value) == [
        {"for": "[2001:db8::1]", "proto": "https", "host": "[::1]:8443"}
    ]
