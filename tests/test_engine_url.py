"""URLs of engines."""

from __future__ import annotations

import pytest

from carboy.engine_url import Kind, parse


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://localhost:6379/0", Kind.REDIS),
        ("rediss://localhost:6379/0", Kind.REDIS),
        ("unix:///run/redis.sock?db=0", Kind.REDIS),
        ("nats://localhost", Kind.NATS),
        ("tls://localhost", Kind.NATS),
        ("postgresql://localhost/x", Kind.POSTGRESQL),
        ("postgres://localhost/x", Kind.POSTGRESQL),
        ("REDIS://localhost", Kind.REDIS),
        ("memory:", Kind.MEMORY),
    ],
)
def test_the_scheme_of_a_url_says_which_kind_the_engine_is(url: str, kind: Kind) -> None:
    assert parse(url).kind is kind


@pytest.mark.parametrize("url", ["", "redis", "localhost:6379", "http://localhost", "//x"])
def test_a_url_of_nothing_known_is_refused_with_examples(url: str) -> None:
    with pytest.raises(ValueError, match="Use a URL such as redis://localhost:6379"):
        parse(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@host:1/2", "redis://:***@host:1/2"),
        ("redis://me:se@cret@host", "redis://me:***@host"),
        ("redis://host?password=secret&db=1", "redis://host?password=***&db=1"),
        ("unix://me:secret@/run/r?db=1", "unix://me:***@/run/r?db=1"),
        ("unix:///run/r", "unix:///run/r"),
        ("nats://token@host", "nats://***@host"),
        ("postgresql://me@host/x", "postgresql://me@host/x"),
        ("postgresql:///x?user=me&password=secret", "postgresql:///x?user=me&password=***"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert parse(url).shown == shown
