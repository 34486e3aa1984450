"""Priorities of responses (RFC 9218)."""

from __future__ import annotations

import pytest

from carboy.protocol.http2.priority import Priority, read_priority


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", (3, False)),
        (b"u=0", (0, False)),
        (b"u=7, i", (7, True)),
        (b"i,u=1", (1, True)),
        (b" i = ?1 ", (3, True)),
        (b"i=?0", (3, False)),
        (b"u=5;x=1, other=2, i;a", (5, True)),
        (b"u=1, u=2", (2, False)),
        (b"u=8", (3, False)),
        (b"u=-1", (3, False)),
        (b"u=1.5", (3, False)),
        (b"U=1, I", (3, False)),
        (b"nonsense \xff", (3, False)),
    ],
)
def test_a_priority_field_is_read(value: bytes, expected: tuple[int, bool]) -> None:
    assert read_priority(value) == expected


def test_a_response_changes_only_what_it_names() -> None:
    assert read_priority(b"i", Priority(1, False)) == (1, True)
    assert read_priority(b"u=6", Priority(1, True)) == (6, True)
