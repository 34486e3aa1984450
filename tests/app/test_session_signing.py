"""Session cookies are those of itsdangerous, byte for byte, and so is what is refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import itsdangerous
import pytest
from hypothesis import given
from hypothesis import strategies as st

import carboy
from carboy.app.session_signing import SessionSerializer

NOW = 1_700_000_000
KEYS = ["oldest", "old", "newest"]
OPTIONS: dict[str, dict[str, Any]] = {
    "hmac": {"key_derivation": "hmac"},
    "concat": {"key_derivation": "concat"},
    "django-concat": {},
    "none": {"key_derivation": "none"},
    "sha512": {"key_derivation": "hmac", "digest_method": hashlib.sha512},
    "own digest": {"digest_method": lambda data=b"": hashlib.sha256(data)},
}


@pytest.fixture(autouse=True)
def frozen_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(itsdangerous.TimestampSigner, "get_timestamp", lambda self: NOW)


def pair(keys: list[str] = KEYS, serializer: Any = json, **signer: Any) -> tuple[Any, Any]:
    """Our serializer, and that of itsdangerous."""
    made = [
        kind(keys, salt="cookie-session", serializer=serializer, signer_kwargs=signer)
        for kind in (SessionSerializer, itsdangerous.URLSafeTimedSerializer)
    ]
    return made[0], made[1]


def outcome(serializer: Any, signed: Any, **options: Any) -> Any:
    try:
        return serializer.loads(signed, **options)
    except Exception as error:
        facts = (getattr(error, "payload", None), getattr(error, "date_signed", None))
        return type(error), str(error), facts


@pytest.mark.parametrize("name", OPTIONS)
def test_a_value_gets_the_signature_that_itsdangerous_gives_it(name: str) -> None:
    ours, theirs = pair(**OPTIONS[name])
    for value in ({}, {"visits": 1}, {"text": "é" * 300}, [1, None, "<"]):
        signed = ours.dumps(value)
        assert signed == theirs.dumps(value)
        assert ours.loads(signed, max_age=10) == theirs.loads(signed, max_age=10) == value
        assert ours.dumps(value, salt="other") == theirs.dumps(value, salt="other")


TEXTS = st.text(max_size=300) | st.text(alphabet="ab", max_size=900)


@given(st.dictionaries(st.text(max_size=8), TEXTS | st.integers(), max_size=12))
def test_a_value_is_compressed_when_itsdangerous_compresses_it(value: dict[str, Any]) -> None:
    ours, theirs = pair()
    assert ours.dump_payload(value) == theirs.dump_payload(value)


def signed_at(seconds: int, keys: list[str] = KEYS, value: Any = "v") -> str:
    serializer = pair(keys)[1]
    signer = serializer.make_signer()
    signer.get_timestamp = lambda: seconds
    return str(signer.sign(serializer.dump_payload(value)).decode())


GOOD = signed_at(NOW)
HEAD, TIME, SIGNATURE = GOOD.split(".")
LAST = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(SIGNATURE[-1])
COOKIES = [
    GOOD, GOOD.encode(), f"{GOOD}=", f" {GOOD}", f"{GOOD}\n", f"{GOOD}.", f".{GOOD}", GOOD[:-1],
    f"{HEAD}.{TIME}.{SIGNATURE.swapcase()}", f"{HEAD}.{SIGNATURE}", f"{HEAD}..{SIGNATURE}",
    f"{HEAD}x.{TIME}.{SIGNATURE}", f"{HEAD}.{TIME}A.{SIGNATURE}", HEAD, "", ".", "..",
    "...", "é.é.é",
    "a.b.c", signed_at(NOW - 10), signed_at(NOW - 11), signed_at(NOW + 1), signed_at(0),
    signed_at(2**60), signed_at(NOW, ["oldest"]), signed_at(NOW, ["old"]),
    signed_at(NOW, ["other"]),
    signed_at(NOW, value="a" * 200), signed_at(NOW, value=""),
    # The last character has two bits that do not belong to the signature.
    f"{HEAD}.{TIME}.{SIGNATURE[:-1]}"
    + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[LAST ^ 1],
]  # fmt: skip


@pytest.mark.parametrize("cookie", COOKIES)
@pytest.mark.parametrize("max_age", [None, 0, 10, -1])
def test_a_cookie_is_accepted_or_refused_as_by_itsdangerous(cookie: Any, max_age: Any) -> None:
    ours, theirs = pair()
    for options in ({"max_age": max_age}, {"max_age": max_age, "return_timestamp": True}):
        assert outcome(ours, cookie, **options) == outcome(theirs, cookie, **options)


def test_signed_content_that_is_not_a_value_is_an_error_as_in_itsdangerous() -> None:
    ours, theirs = pair()
    for payload in (b"", b"!", b".", b".!", b"e30", b".e30", b"e30\xff", b"/w", b"YQ"):
        signed = theirs.make_signer().sign(payload)
        assert outcome(ours, signed, max_age=9) == outcome(theirs, signed, max_age=9), payload


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_is_refused_as_by_itsdangerous(cookie: Any) -> None:
    ours, theirs = pair()
    assert outcome(ours, cookie, max_age=10) == outcome(theirs, cookie, max_age=10)


def test_the_time_of_a_signature_is_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pair()
    for now in (NOW, NOW + 1, NOW):
        monkeypatch.setattr(itsdangerous.TimestampSigner, "get_timestamp", lambda _, now=now: now)
        assert ours.dumps("v") == theirs.dumps("v")


def test_another_secret_key_or_method_is_used_from_the_next_request_on() -> None:
    app = carboy.Flask("keys")
    app.secret_key = "one"
    interface: Any = app.session_interface
    first = interface.get_signing_serializer(app)
    assert interface.get_signing_serializer(app) is first
    signed = first.dumps({"a": 1})
    app.secret_key = "two"
    with pytest.raises(itsdangerous.BadSignature):
        interface.get_signing_serializer(app).loads(signed, max_age=10)
    app.config["SECRET_KEY_FALLBACKS"] = ["one"]
    assert interface.get_signing_serializer(app).loads(signed, max_age=10) == {"a": 1}

    class Longer(type(interface)):  # type: ignore[misc]
        digest_method = staticmethod(hashlib.sha512)

    app.session_interface = Longer()
    assert len(app.session_interface.get_signing_serializer(app).dumps({"a": 1})) > len(signed)


@pytest.mark.parametrize(
    "value", [1, 1.5, "é", None, [], {"b": [1, {}], "a": "<"}, {1: 2, 3: None}]
)
def test_json_without_spaces_is_what_the_standard_library_writes(value: Any) -> None:
    app = carboy.Flask("json")
    for ascii_only in (True, False):
        app.json.ensure_ascii = ascii_only  # type: ignore[attr-defined]
        expected = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=ascii_only)
        for debug, compact in ((False, None), (True, None), (False, False)):
            app.debug, app.json.compact = debug, compact  # type: ignore[attr-defined]
            assert app.json.dumps(value, separators=(",", ":")) == expected
