"""multipart/form-data (RFC 7578): the parts of a body become fields and files.

What a form keeps in memory is counted in one total: the values of its fields and the header
lines of all its parts. Preamble and epilogue are skipped, not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from carboy.http.exceptions import RequestEntityTooLarge
from carboy.http.file_storage import FileStorage
from carboy.http.forms.reader import Event, Lines, MultipartReader
from carboy.http.forms.store import StreamFactory, default_stream_factory
from carboy.http.headers import Headers
from carboy.http.multidict import MultiDict
from carboy.http.options import parse_options_header

Items = list[tuple[str | None, Any]]

# The character sets a part may name; others are read as UTF-8.
_CHARSETS = {"ascii", "us-ascii", "utf-8", "iso-8859-1"}


class _Part:
    """A part on its way: its headers, and where its content goes."""

    __slots__ = ("chunks", "file", "filename", "headers", "name")

    def __init__(self, lines: Lines) -> None:
        # Control characters are kept, as everything that a client may put into a name.
        self.headers = Headers._from_checked(lines)
        disposition, options = parse_options_header(self.headers.get("Content-Disposition"))
        if disposition.lower() != "form-data":
            raise ValueError("A part of a form needs the header 'Content-Disposition: form-data'.")
        self.name = options.get("name")
        self.filename = options.get("filename")
        self.chunks: list[bytes] = []
        self.file: IO[bytes] | None = None

    def size_of_headers(self) -> int:
        return sum(len(name) + len(value) for name, value in self.headers)

    def text(self, charset: str) -> str:
        return b"".join(self.chunks).decode(charset, "replace")

    def storage(self) -> FileStorage:
        file = self.file
        if file is not None:
            file.seek(0)
        return FileStorage(file, self.filename, self.name, headers=self.headers)


class MultiPartParser:
    """Reads a multipart body into fields and files.

    `max_form_memory_size` bounds what is kept in memory besides the files, in octets,
    `max_form_parts` the number of parts: RequestEntityTooLarge. A malformed body raises
    ValueError.
    """

    def __init__(
        self,
        stream_factory: StreamFactory | None = None,
        max_form_memory_size: int | None = None,
        cls: type[Any] | None = None,
        buffer_size: int = 64 * 1024,
        max_form_parts: int | None = None,
    ) -> None:
        self.stream_factory = stream_factory or default_stream_factory
        self.max_form_memory_size = max_form_memory_size
        self.cls = cls or MultiDict
        self.buffer_size = buffer_size
        self.max_form_parts = max_form_parts

    def fail(self, message: str) -> None:
        """Raise the error of a malformed body."""
        raise ValueError(message)

    def get_part_charset(self, headers: Headers) -> str:
        """The character set of a field: the one it names, if it is a common one, or UTF-8."""
        content_type = headers.get("Content-Type")
        if content_type:
            charset = parse_options_header(content_type)[1].get("charset", "").lower()
            if charset in _CHARSETS:
                return charset
        return "utf-8"

    def parse(
        self, stream: IO[bytes], boundary: bytes, content_length: int | None
    ) -> tuple[Any, Any]:
        """The fields and the files of the body, each a `cls`."""
        fields: Items = []
        files: Items = []
        opened: list[IO[bytes]] = []
        try:
            self._collect(stream, boundary, content_length, fields, files, opened)
        except BaseException:
            for file in opened:
                file.close()
            raise
        return self.cls(fields), self.cls(files)

    def _collect(
        self,
        stream: IO[bytes],
        boundary: bytes,
        content_length: int | None,
        fields: Items,
        files: Items,
        opened: list[IO[bytes]],
    ) -> None:
        part: _Part | None = None
        kept = 0
        for event in self._events(stream, boundary):
            if isinstance(event, list):
                part = _Part(event)
                kept = self._counted(kept, part.size_of_headers())
                if part.filename is not None:
                    part.file = self._open(part, content_length)
                    opened.append(part.file)
            elif part is None:
                raise RuntimeError("a part ended that had not begun")
            elif event is None:
                if part.file is None:
                    fields.append((part.name, part.text(self.get_part_charset(part.headers))))
                else:
                    files.append((part.name, part.storage()))
                part = None
            elif part.file is not None:
                part.file.write(event)
            else:
                kept = self._counted(kept, len(event))
                part.chunks.append(event)

    def _counted(self, kept: int, more: int) -> int:
        kept += more
        if self.max_form_memory_size is not None and kept > self.max_form_memory_size:
            raise RequestEntityTooLarge
        return kept

    def _open(self, part: _Part, total: int | None) -> IO[bytes]:
        length = part.headers.get("Content-Length", 0, int)
        return self.stream_factory(
            total_content_length=total,
            content_type=part.headers.get("Content-Type"),
            filename=part.filename,
            content_length=length,
        )

    def _events(self, stream: IO[bytes], boundary: bytes) -> Iterator[Event]:
        reader = MultipartReader(boundary, self.max_form_parts)
        while piece := stream.read(self.buffer_size):
            yield from reader.feed(piece)
        reader.close()
