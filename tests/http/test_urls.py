"""IRIs and URIs, compared with Werkzeug."""

from __future__ import annotations

import pytest
import werkzeug.urls as theirs
from hypothesis import given
from hypothesis import strategies as st

import carboy.http as ours
from black_box import outcome

PIECES = ["a", "é", "☃", "%20", "%2F", "%3f", "%C3%A9", "%ff", "%zz", "%", " ", "/", "?", "#"]
PIECES += ["&", "=", "+", ";", ":", "@", "[", "]", "\\", '"', "%26", "%23", "%25", "%00", "%7f"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
HOSTS = st.sampled_from(["", "h", "H.com:80", "☃.net", "xn--n3h.net", "é%40:p@h:0", "[::1]:8"])
URLS = st.builds(
    "{}{}{}".format, st.sampled_from(["http://", "//", "HTTPS://"]), HOSTS, TEXTS.map("/{}".format)
)


@given(TEXTS.map("/{}".format) | URLS | TEXTS)
def test_any_iri_is_converted_as_in_werkzeug(iri: str) -> None:
    assert outcome(lambda: ours.iri_to_uri(iri)) == outcome(lambda: theirs.iri_to_uri(iri))


@given(TEXTS.map("/{}".format) | URLS | TEXTS)
def test_any_uri_is_converted_as_in_werkzeug(uri: str) -> None:
    assert outcome(lambda: ours.uri_to_iri(uri)) == outcome(lambda: theirs.uri_to_iri(uri))


@given(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(
            ["", "http://h", "https://a.b-c:8000", "http://a:65535", "http://a:08", "//h"]
        ),
        st.text("aZ0-._~/", max_size=8).map("/{}".format),
        st.text("aZ0-._~&=+?/", max_size=8).map("?{}".format) | st.just(""),
    )
)
def test_a_url_with_nothing_to_encode_is_converted_as_in_werkzeug(url: str) -> None:
    for convert in ("iri_to_uri", "uri_to_iri"):
        answers = [outcome(lambda lib=lib: getattr(lib, convert)(url)) for lib in (ours, theirs)]
        assert answers[0] == answers[1]


@given(TEXTS.map("/path{}".format))
def test_a_uri_is_ascii_and_does_not_change_again(iri: str) -> None:
    uri = ours.iri_to_uri(iri)
    assert uri.isascii()
    assert ours.iri_to_uri(uri) == uri


@pytest.mark.parametrize("part", ["/x{}", "/?x{}", "/#x{}", "http://x{}@h/", "http://u:x{}@h/"])
def test_every_encoded_byte_of_every_part_is_decoded_as_in_werkzeug(part: str) -> None:
    for byte in range(128):
        for text in (part.format(f"%{byte:02x}"), part.format(f"%{byte:02X}%C3%A9")):
            assert ours.uri_to_iri(text) == theirs.uri_to_iri(text), text


@pytest.mark.parametrize("part", ["/x{}", "/?x{}", "/#x{}", "http://x{}@h/", "http://u:x{}@h/"])
def test_every_character_of_every_part_is_encoded_as_in_werkzeug(part: str) -> None:
    for byte in range(128):
        text = part.format(chr(byte))
        mine = outcome(lambda: ours.iri_to_uri(text))
        assert mine == outcome(lambda: theirs.iri_to_uri(text)), text


@pytest.mark.parametrize(
    "iri",
    [
        "itms-services://?action=download-manifest&url=x y",
        "foo:bar é",
        "mailto:é@x",
        "http:///x",
        "///a//b",
        "http://x:abc/",
        "http://[::1/",
        "/\udc80",
        "http://" + "x" * 70 + "é/",
    ],
)
def test_an_unusual_url_is_converted_as_in_werkzeug(iri: str) -> None:
    for convert in ("iri_to_uri", "uri_to_iri"):
        answers = [outcome(lambda lib=lib: getattr(lib, convert)(iri)) for lib in (ours, theirs)]
        assert answers[0] == answers[1]


def test_a_host_that_is_not_idna_is_kept_while_werkzeug_raises() -> None:
    uri = "http://xn--zzzzzz99999/%C3%A9"
    assert ours.uri_to_iri(uri) == "http://xn--zzzzzz99999/é"
    with pytest.raises(UnicodeError):
        theirs.uri_to_iri(uri)


def test_an_ascii_host_with_an_empty_label_is_kept_where_werkzeug_raises() -> None:
    assert ours.iri_to_uri("http://a..b/é") == "http://a..b/%C3%A9"
    with pytest.raises(UnicodeError):
        theirs.iri_to_uri("http://a..b/é")
