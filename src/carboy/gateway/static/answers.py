"""The answer with a file: 200, 206, 304, 412 or 416, from memory or sent by the kernel."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from carboy.gateway.file_blocks import blocks
from carboy.gateway.interface import Answer
from carboy.gateway.static.conditions import CONDITIONS, Range, ranges_of, status_of
from carboy.gateway.static.files import File, Files
from carboy.gateway.static.media_types import media_type

Headers = list[tuple[str, str]]
YEAR = 365 * 24 * 3600
TEXT = ("Content-Type", "text/plain; charset=utf-8")
OK = "200 OK"
PARTIAL = "206 Partial Content"


class Caching:
    """The values of Cache-Control: by whether the path of a file has a match of `immutable`."""

    def __init__(self, max_age: int, immutable: str) -> None:
        self._usual = f"public, max-age={max_age}" if max_age else "no-cache"
        self._immutable = re.compile(immutable) if immutable else None

    def value(self, name: bytes) -> str:
        """The value for the file with this name below its folder."""
        if self._immutable is not None and self._immutable.search(f"/{os.fsdecode(name)}"):
            return f"public, max-age={YEAR}, immutable"
        return self._usual


class Representation:
    """A file in one coding, with the header fields of its answers."""

    __slots__ = ("file", "headers", "modified", "short", "tag")

    def __init__(
        self, file: File, main: File, coding: str | None, varies: bool, caching: Caching
    ) -> None:
        self.file = file
        self.modified = main.modified
        self.tag = f'"{file.tag}-{coding}"' if coding else f'"{file.tag}"'
        self.short: Headers = [("Cache-Control", caching.value(main.name)), ("ETag", self.tag)]
        if varies:
            self.short.append(("Vary", "Accept-Encoding"))
        self.headers: Headers = [
            ("Content-Type", media_type(main.name)),
            ("Content-Length", str(file.size)),
            ("Last-Modified", main.modified_text),
            *self.short,
            ("Accept-Ranges", "bytes"),
        ]
        if coding:
            self.headers.append(("Content-Encoding", coding))

    def with_length(self, length: int, *more: tuple[str, str]) -> Headers:
        """The fields for a part with this length."""
        kept = [pair for pair in self.headers if pair[0] != "Content-Length"]
        return [*kept, ("Content-Length", str(length)), *more]


class Descriptor:
    """An open file as the server takes it."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def fileno(self) -> int:
        return self.fd

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class OpenPart:
    """A part of an open file: a FileBody of gateway.interface."""

    __slots__ = ("count", "file", "offset")

    def __init__(self, file: Descriptor, offset: int, count: int) -> None:
        self.file: Any = file
        self.offset = offset
        self.count: int | None = count

    def __iter__(self) -> Iterator[bytes]:
        return blocks(self.file.fd, self.offset, self.count or 0)


def answer(files: Files, found: Representation, fields: Mapping[str, str], method: str) -> Answer:
    """The answer to a GET or HEAD. Raises Changed, and OSError."""
    file = found.file
    if any(map(fields.__contains__, CONDITIONS)):
        status = status_of(fields, found.tag, found.modified)
        if status == 304:
            return "304 Not Modified", found.short, b"", None
        if status == 412:
            return "412 Precondition Failed", [TEXT], b"412 Precondition Failed\n", None
        if method == "GET":  # a range of HEAD has no meaning (RFC 9110, section 14.2)
            ranges = ranges_of(fields, found.tag, found.modified, file.size)
            if ranges is not None:
                return _partial(files, found, ranges)
    content = files.content(file)
    if content is not None:
        return OK, found.headers, content, None
    descriptor = Descriptor(files.open(file))
    return OK, found.headers, OpenPart(descriptor, 0, file.size), descriptor.close


def _partial(files: Files, found: Representation, ranges: list[Range]) -> Answer:
    size = found.file.size
    if not ranges:
        headers = [TEXT, ("Content-Range", f"bytes */{size}")]
        return "416 Range Not Satisfiable", headers, b"416 Range Not Satisfiable\n", None
    if len(ranges) > 1:
        return _several(files, found, ranges)
    start, count = ranges[0]
    headers = found.with_length(count, ("Content-Range", _content_range(start, count, size)))
    content = files.content(found.file)
    if content is not None:
        return PARTIAL, headers, content[start : start + count], None
    descriptor = Descriptor(files.open(found.file))
    return PARTIAL, headers, OpenPart(descriptor, start, count), descriptor.close


def _several(files: Files, found: Representation, ranges: list[Range]) -> Answer:
    """Several ranges as multipart/byteranges (RFC 9110, section 14.6)."""
    size = found.file.size
    boundary = os.urandom(12).hex()
    kind = found.headers[0][1]
    heads = [
        f"--{boundary}\r\nContent-Type: {kind}\r\n"
        f"Content-Range: {_content_range(start, count, size)}\r\n\r\n".encode()
        for start, count in ranges
    ]
    end = f"--{boundary}--\r\n".encode()
    length = sum(len(head) + count + 2 for head, (_, count) in zip(heads, ranges, strict=True))
    headers = [
        ("Content-Type", f"multipart/byteranges; boundary={boundary}"),
        *found.with_length(length + len(end))[1:],
    ]
    descriptor = Descriptor(files.open(found.file))

    def pieces() -> Iterator[bytes]:
        for head, (start, count) in zip(heads, ranges, strict=True):
            yield head
            yield from blocks(descriptor.fd, start, count)
            yield b"\r\n"
        yield end

    return PARTIAL, headers, pieces(), descriptor.close


def _content_range(start: int, count: int, size: int) -> str:
    return f"bytes {start}-{start + count - 1}/{size}"
