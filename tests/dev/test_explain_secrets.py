"""A secret that was seen under its name is left out everywhere."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from carboy.dev.explain import secrets
from carboy.dev.explain.values import argument, brief


@pytest.fixture(autouse=True)
def nothing_seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(secrets, "_seen", {})
    yield


@pytest.mark.parametrize(
    "seen",
    [
        lambda: argument("password", "hunter2"),
        lambda: argument("password", b"hunter2"),
        lambda: argument("tokens", ["other", "hunter2"]),
        lambda: brief({"user": {"password": "hunter2"}}),
        lambda: brief("user=ada&password=hunter2&page=2"),
        lambda: brief(b'{"api_key": "hunter2"}'),
        lambda: brief(("X-Api-Key", "hunter2")),
        lambda: brief("GET / HTTP/1.1\r\nCookie: theme=dark; id=hunter2\r\n\r\n"),
        lambda: argument("Set-Cookie", "id=hunter2; Path=/; HttpOnly; SameSite=Strict"),
        lambda: argument("Authorization", "Bearer hunter2"),
        lambda: argument("Authorization", f"Basic {base64.b64encode(b'ada:hunter2').decode()}"),
    ],
)
def test_it_is_known_by_its_value_from_then_on(seen: object) -> None:
    assert secrets.without("value = 'hunter2'") == "value = 'hunter2'"
    seen()  # type: ignore[operator]
    assert secrets.without("value = 'hunter2'") == "value = '…'"
    assert secrets.without("HttpOnly, Path=/, page=2") == "HttpOnly, Path=/, page=2"


@pytest.mark.parametrize("value", ["", "abc", "True", "1000", "none"])
def test_what_is_part_of_everything_is_no_secret(value: str) -> None:
    secrets.learn("max_tokens", value)
    text = f"x = {value}, y = 1"
    assert secrets.without(text) == text


def test_a_long_one_is_known_by_its_beginning_where_it_is_cut_off() -> None:
    secrets.learn("token", "a1b2c3d4" * 20)
    assert secrets.without(f"'{('a1b2c3d4' * 20)[:70]}…' (160 characters)") == (
        "'…' (160 characters)"
    )


def test_only_the_newest_are_remembered() -> None:
    for number in range(secrets.MOST + 1):
        secrets.learn("token", f"secret-{number:03}")
    assert secrets.without("secret-000") == "secret-000"
    assert secrets.without(f"secret-{secrets.MOST:03}") == "…"


def test_credentials_that_are_no_base64_harm_nothing() -> None:
    secrets.learn("authorization", "Basic ???")
    secrets.learn("authorization", "")
