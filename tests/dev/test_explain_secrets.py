"""Secrets of a request are found, and removed from its explanation."""

from __future__ import annotations

from base64 import b64encode

import pytest

from carboy.dev.explain.secrets import Eraser, blank_cookies, secrets_of
from carboy.dev.explain.values import arguments
from explained import call

MULTIPART = (
    b'--B\r\nContent-Disposition: form-data; name="title"\r\n\r\nplain text\r\n'
    b'--B\r\nContent-Disposition: form-data; name="password"\r\n'
    b"Content-Type: text/plain\r\n\r\nhunter2\r\n--B--\r\n"
)


@pytest.mark.parametrize(
    ("path", "fields", "body"),
    [
        ("/?a=b&token=hunter2", (), None),
        ("/", [("Cookie", "a=b; session=hunter2")], None),
        ("/", [("authorization", "Bearer hunter2")], None),
        ("/", [("Authorization", "Basic " + b64encode(b"bob:hunter2").decode())], None),
        ("/", [("Cookie", "a=b"), ("X-Api-Key", "hunter2")], None),
        ("/", (), b"user=bob&password=hunter2"),
        ("/", (), b"user=bob&pwd=hunter2"),
        ("/", (), b'{"user": {"api_key": "hunter2"}}'),
        ("/", (), b'{"tokens": ["other", "hunter2"]}'),
        ("/", (), b'{"secret": {"a": "hunter2"}}'),
        ("/", (), MULTIPART),
    ],
)
def test_secrets_are_found_by_their_names(
    path: str, fields: list[tuple[str, str]], body: bytes | None
) -> None:
    assert "hunter2" in secrets_of(path, fields, body)


def test_values_that_are_not_secrets_are_kept() -> None:
    fields = [("Accept", "text/html"), ("Authorization", "Basic nonsense")]
    assert secrets_of("/?q=milk&passage=west", fields, b"\xff\x00") == {
        "nonsense",
        "Basic nonsense",
    }
    assert "plain text" not in secrets_of("/", (), MULTIPART)


@pytest.mark.parametrize(
    "text",
    ["'hunter2'", "b'x=hunter2&y'", "'x=hunter…' (99 characters)", "'hunt…'", "['hunter2', 1]"],
)
def test_a_secret_is_erased_also_if_it_was_cut(text: str) -> None:
    assert "hunt" not in Eraser(["hunter2"]).erase(text)


@pytest.mark.parametrize("text", ["'hunting…'", "'hunter'", "'hun…'"])
def test_words_with_the_same_beginning_are_kept(text: str) -> None:
    assert Eraser(["hunter2"]).erase(text) == text


def test_quoted_and_escaped_forms_are_erased() -> None:
    secret = "pä'ss w\\rd&1"
    forms = [repr(secret), repr(secret.encode()), "'p%C3%A4%27ss+w%5Crd%261'"]
    for form in forms:
        assert "rd" not in Eraser([secret]).erase(form)


def test_short_secrets_are_not_searched_for() -> None:
    assert Eraser(["a", ""]).erase("'banana'") == "'banana'"
    assert Eraser([]).erase("'banana'") == "'banana'"


def test_calls_are_cleaned() -> None:
    node = call("f", "http", 0, 1, result="'hunter2'")
    node.args = (("data", "b'hunter2'"),)
    Eraser(["hunter2"]).clean([node])
    assert (node.args, node.result) == ((("data", "b'…'"),), "'…'")


def test_a_value_under_the_key_of_a_secret_is_a_secret() -> None:
    found: set[str] = set()
    shown = arguments({"key": "password", "value": "hunter2"}, found)
    assert shown == (("key", "'password'"), ("value", "'…'"))
    assert found == {"hunter2"}
    assert arguments({"key": "title", "value": "hunter2"}, set())[1] == ("value", "'hunter2'")


def test_cookies_that_a_response_sets_are_stars_of_the_same_length() -> None:
    head = "HTTP/1.1 200 OK\r\nSet-Cookie: sid=abc; Path=/\r\nset-cookie: a=\r\nX: a=b\r\n\r\n"
    body = "Set-Cookie: sid=abc"
    shown = blank_cookies(head + body)
    assert shown == head.replace("sid=abc", "sid=***") + body
    assert blank_cookies("") == ""
