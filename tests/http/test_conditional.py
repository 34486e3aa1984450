"""Parts of bodies, against Werkzeug's range wrapper."""

from __future__ import annotations

import io
from typing import Any

import pytest
import werkzeug.wsgi

from carboy.http import FileWrapper
from carboy.http.response.conditional import RangeIterator
from carboy.http.response.response import Response


class _Seeking(io.BytesIO):
    sought: list[int]

    def seek(self, offset: int, whence: int = 0) -> int:
        self.sought = [*getattr(self, "sought", []), offset]
        return super().seek(offset, whence)


@pytest.mark.parametrize(("start", "length"), [(0, None), (0, 4), (7, 5), (25, 100), (3, 0)])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_range_of_a_seekable_body_begins_with_a_seek(
    start: int, length: int | None, wrapped: bool
) -> None:
    def part(range_wrapper: Any, file_wrapper: Any) -> tuple[object, ...]:
        file = _Seeking(b"abc\ndef\nghi\njkl\nmno\npqr\n")
        body = range_wrapper(file_wrapper(file, 6) if wrapped else file, start, length)
        return body.seekable, list(body), file.sought

    oracle = part(werkzeug.wsgi._RangeWrapper, werkzeug.wsgi.FileWrapper)
    assert part(RangeIterator, FileWrapper) == oracle


def test_a_body_that_cannot_seek_is_read_up_to_the_range() -> None:
    body = RangeIterator(iter([b"abc", b"def"]), 2, 2)
    assert (body.seekable, list(body)) == (False, [b"c", b"d"])


def test_a_response_with_a_seekable_body_is_not_read_up_to_the_range() -> None:
    file = _Seeking(b"0123456789")
    response = Response(file, direct_passthrough=False)
    environ = {"REQUEST_METHOD": "GET", "HTTP_RANGE": "bytes=6-8"}
    response.make_conditional(environ, accept_ranges=True, complete_length=10)
    assert (response.status_code, response.get_data()) == (206, b"678")
    assert file.sought == [6]
