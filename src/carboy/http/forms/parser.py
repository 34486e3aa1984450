"""The parsers of forms: urlencoded and multipart bodies become fields and files."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any

from carboy.http.containers.multidict import MultiDict
from carboy.http.exceptions import RequestEntityTooLarge
from carboy.http.fields.content_type import MULTIPART, URLENCODED
from carboy.http.fields.headers import Headers
from carboy.http.fields.syntax import CHARSETS, parse_options_header
from carboy.http.forms.file_storage import FileStorage
from carboy.http.forms.part_file import can_be_filled, fill
from carboy.http.forms.reader import Event, Lines, MultipartReader
from carboy.http.forms.urlencoded import parse_form
from carboy.http.wsgi import get_content_length, get_input_stream
from carboy.lazy import lazy_names
from carboy.spooled_body import SpooledBody

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

StreamFactory = Callable[..., IO[bytes]]

# Bytes of an uploaded file; a larger file is written to the disk.
MAX_IN_MEMORY = 500 * 1024


def default_stream_factory(
    total_content_length: int | None,
    content_type: str | None,
    filename: str | None,
    content_length: int | None = None,
) -> IO[bytes]:
    """Memory for a small body, otherwise a temporary file that starts in memory."""
    if total_content_length is not None and total_content_length <= MAX_IN_MEMORY:
        return io.BytesIO()
    spooled = sys.modules[__name__].SpooledTemporaryFile  # tests replace it here
    return spooled(max_size=MAX_IN_MEMORY, mode="rb+")  # type: ignore[no-any-return]


# tempfile loads random and OpenSSL, and only large uploads need it.
__getattr__ = lazy_names(__name__, {"tempfile": "SpooledTemporaryFile"})[1]


Items = list[tuple[str | None, Any]]


class _Part:
    """A part that is being read: its headers, and the pieces or file of its content."""

    __slots__ = ("body", "chunks", "file", "filename", "headers", "name", "size", "start")

    def __init__(self, lines: Lines) -> None:
        # The values may contain control characters, as a client may send them in a name.
        self.headers = Headers._from_checked(lines)
        disposition, options = parse_options_header(self.headers.get("Content-Disposition"))
        if disposition.lower() != "form-data":
            raise ValueError("A part of a form needs the header 'Content-Disposition: form-data'.")
        self.name = options.get("name")
        self.filename = options.get("filename")
        self.chunks: list[bytes] = []
        self.file: IO[bytes] | None = None
        # The file from which this part is filled at its end, and the place of the content there.
        self.body: SpooledBody | None = None
        self.start = self.size = 0

    def size_of_headers(self) -> int:
        return sum(len(name) + len(value) for name, value in self.headers)

    def text(self, charset: str) -> str:
        return b"".join(self.chunks).decode(charset, "replace")

    def add(self, content: bytes, at: int) -> None:
        """Write a piece of the file's content, which is at this place of the body."""
        if self.body is not None:
            if not self.size:
                self.start = at
            self.size += len(content)
        elif self.file is not None:
            self.file.write(content)

    def storage(self) -> FileStorage:
        file = self.file
        if file is not None:
            if self.body is not None:
                fill(file, self.body, self.start, self.size)
            file.seek(0)
        return FileStorage(file, self.filename, self.name, headers=self.headers)


class MultiPartParser:
    """Reads a multipart body into fields and files.

    RequestEntityTooLarge if the body has more than `max_form_parts` parts, or if its fields and
    headers have more than `max_form_memory_size` bytes. ValueError for a malformed body.
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
        """Raise the error for a malformed body."""
        raise ValueError(message)

    def get_part_charset(self, headers: Headers) -> str:
        """The character set of a field: the declared one if it is in CHARSETS, otherwise UTF-8."""
        content_type = headers.get("Content-Type")
        if content_type:
            charset = parse_options_header(content_type)[1].get("charset", "").lower()
            if charset in CHARSETS:
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
        reader = MultipartReader(boundary, self.max_form_parts)
        body = stream if isinstance(stream, SpooledBody) else None
        before = stream.tell() if body is not None else 0  # bytes that have been read before
        for event in self._events(stream, reader):
            if isinstance(event, list):
                part = _Part(event)
                kept = self._counted(kept, part.size_of_headers())
                if part.filename is not None:
                    part.file = self._open(part, content_length)
                    opened.append(part.file)
                    if body is not None and can_be_filled(part.file):
                        part.body = body
            elif part is None:
                raise RuntimeError("The reader has sent content before the headers of its part.")
            elif event is None:
                if part.file is None:
                    fields.append((part.name, part.text(self.get_part_charset(part.headers))))
                else:
                    files.append((part.name, part.storage()))
                part = None
            elif part.file is not None:
                part.add(event, before + reader.content_at)
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

    def _events(self, stream: IO[bytes], reader: MultipartReader) -> Iterator[Event]:
        while piece := stream.read(self.buffer_size):
            yield from reader.feed(piece)
        reader.close()


Parsed = tuple[IO[bytes], Any, Any]


def parse_form_data(
    environ: WSGIEnvironment,
    stream_factory: StreamFactory | None = None,
    max_form_memory_size: int | None = None,
    max_content_length: int | None = None,
    cls: type[Any] | None = None,
    silent: bool = True,
    *,
    max_form_parts: int | None = None,
) -> Parsed:
    """The stream, the fields and the files of the form in an environ."""
    return FormDataParser(
        stream_factory,
        max_form_memory_size,
        max_content_length,
        cls,
        silent,
        max_form_parts=max_form_parts,
    ).parse_from_environ(environ)


READ_SIZE = 256 * 1024  # on files a tenth faster than the parser's default of 64 KiB


class FormDataParser:
    """Parses a body as a form. A body that is not a form has no fields and no files.

    A malformed form has none either, or raises ValueError with `silent=False`.
    RequestEntityTooLarge for more than `max_content_length` bytes, and for multipart forms as in
    MultiPartParser.
    """

    def __init__(
        self,
        stream_factory: StreamFactory | None = None,
        max_form_memory_size: int | None = None,
        max_content_length: int | None = None,
        cls: type[Any] | None = None,
        silent: bool = True,
        *,
        max_form_parts: int | None = None,
    ) -> None:
        self.stream_factory = stream_factory or default_stream_factory
        self.max_form_memory_size = max_form_memory_size
        self.max_content_length = max_content_length
        self.max_form_parts = max_form_parts
        self.cls = cls or MultiDict
        self.silent = silent

    def parse_from_environ(self, environ: WSGIEnvironment) -> Parsed:
        """`parse` for the body and the headers of an environ."""
        stream = get_input_stream(environ, max_content_length=self.max_content_length)
        mimetype, options = parse_options_header(environ.get("CONTENT_TYPE"))
        return self.parse(stream, mimetype, get_content_length(environ), options)

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> Parsed:
        """The stream, the fields and the files. `options` are the media type's parameters."""
        limit = self.max_content_length
        if limit is not None and content_length is not None and content_length > limit:
            raise RequestEntityTooLarge
        try:
            if mimetype == MULTIPART:
                return self._multipart(stream, content_length, options or {})
            if mimetype == URLENCODED:
                return self._urlencoded(stream)
        except ValueError:
            if not self.silent:
                raise
        return stream, self.cls(), self.cls()

    def _multipart(
        self, stream: IO[bytes], content_length: int | None, options: dict[str, str]
    ) -> Parsed:
        boundary = options.get("boundary", "").encode("ascii")
        if not boundary:
            raise ValueError(
                "Missing boundary: the Content-Type of a multipart form has to name it."
            )
        parser = MultiPartParser(
            self.stream_factory,
            self.max_form_memory_size,
            self.cls,
            READ_SIZE,
            max_form_parts=self.max_form_parts,
        )
        fields, files = parser.parse(stream, boundary, content_length)
        return stream, fields, files

    def _urlencoded(self, stream: IO[bytes]) -> Parsed:
        return stream, self.cls(parse_form(stream.read())), self.cls()
