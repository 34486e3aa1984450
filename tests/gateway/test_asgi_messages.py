"""Values in the messages of ASGI."""

from __future__ import annotations

from typing import Any

import pytest

from carboy.gateway import asgi_messages
from carboy.gateway.asgi_messages import MOST_BYTES, MOST_KEPT, decoded

TYPE = (b"content-type", b"text/plain")


def test_a_field_that_is_sent_again_is_the_same_object() -> None:
    first, second = decoded([TYPE]), decoded(iter([tuple(TYPE)]))
    assert first == second == [("content-type", "text/plain")]
    assert first[0] is second[0]
    assert first is not second, "the caller may change the list"


@pytest.mark.parametrize(
    "field",
    [
        (b"set-cookie", b"session=secret"),
        (b"content-type", b"x" * (MOST_BYTES + 1)),
        (b"x-\xe9", b"\xff"),
    ],
)
def test_other_fields_are_not_kept(field: tuple[bytes, bytes]) -> None:
    name, value = field
    assert decoded([field]) == [(name.decode("latin-1"), value.decode("latin-1"))]
    assert field not in asgi_messages._kept


def test_the_number_of_kept_fields_is_limited() -> None:
    for size in range(MOST_KEPT * 2 + 1):
        assert decoded([(b"content-length", b"%d" % size)]) == [("content-length", str(size))]
        assert len(asgi_messages._kept) <= MOST_KEPT


@pytest.mark.parametrize(
    "field",
    [[b"content-type", b"text/plain"], (bytearray(TYPE[0]), memoryview(TYPE[1]))],
    ids=["a list", "other kinds of bytes"],
)
def test_lists_and_other_kinds_of_bytes_are_accepted(field: Any) -> None:
    assert decoded([field]) == [("content-type", "text/plain")]


@pytest.mark.parametrize("field", [("content-type", "text/plain"), (b"content-type", None), 7])
def test_a_field_that_is_not_bytes_is_refused(field: Any) -> None:
    with pytest.raises(TypeError):
        decoded([field])
