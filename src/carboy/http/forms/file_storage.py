"""Uploaded files: their content as a stream, their names and their headers."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from typing import IO, Any

from carboy.http.containers.multidict import MultiDict
from carboy.http.fields.headers import Headers
from carboy.http.fields.syntax import parse_options_header

# Bytes that are read and written at a time between files. Half the time of 16 KiB; the kernel's
# own copy (copy_file_range, sendfile) takes longer where it has to move each page by itself.
FILE_TO_FILE = 1024 * 1024


class FileStorage:
    """A file of a form, with the methods of its stream (`read`, `seek`, ...).

    `filename` comes from the client. Do not use it as a path: see `secure_filename`. The object is
    true if it has a file name, which means that the user selected a file.
    """

    def __init__(
        self,
        stream: IO[bytes] | None = None,
        filename: str | None = None,
        name: str | None = None,
        content_type: str | None = None,
        content_length: int | None = None,
        headers: Headers | None = None,
    ) -> None:
        self.name = name
        self.stream: IO[bytes] = stream or io.BytesIO()
        self.filename = _stream_name(stream) if filename is None else os.fsdecode(filename)
        self.headers = Headers() if headers is None else headers
        if content_type is not None:
            self.headers["Content-Type"] = content_type
        if content_length is not None:
            self.headers["Content-Length"] = str(content_length)
        self._parsed: tuple[str, dict[str, str]] | None = None

    def __reduce__(self) -> Any:
        return type(self), (self.stream, self.filename, self.name, None, None, self.headers)

    @property
    def content_type(self) -> str | None:
        """The `Content-Type` that the client has sent with the file. It is often a guess."""
        return self.headers.get("content-type")  # type: ignore[no-any-return]

    @property
    def content_length(self) -> int:
        """The `Content-Length` sent with the file; 0 without one, which is usual."""
        return self.headers.get("content-length", 0, type=int)  # type: ignore[no-any-return]

    def _content_type(self) -> tuple[str, dict[str, str]]:
        if self._parsed is None:
            self._parsed = parse_options_header(self.content_type)
        return self._parsed

    @property
    def mimetype(self) -> str:
        """The content type without parameters, in lower case."""
        return self._content_type()[0].lower()

    @property
    def mimetype_params(self) -> dict[str, str]:
        """The parameters of the content type."""
        return self._content_type()[1]

    def save(self, dst: str | os.PathLike[str] | IO[bytes], buffer_size: int = 16384) -> None:
        """Write the rest of the stream to a path or an open file, in chunks.

        With the default of `buffer_size`, the chunks from a file to a file are larger.
        """
        if not isinstance(dst, str | os.PathLike):
            self._copy(dst, buffer_size)
            return
        with open(dst, "wb") as file:  # noqa: PTH123
            self._copy(file, buffer_size)

    def _copy(self, target: IO[bytes], buffer_size: int) -> None:
        files = False
        if buffer_size in (0, 16384):  # 0 chooses the default
            files = _is_file(self.stream) and _is_file(target)
            buffer_size = FILE_TO_FILE if files else 16384
        while chunk := self.stream.read(buffer_size):
            target.write(chunk)
            if files and len(chunk) == FILE_TO_FILE and type(chunk) is bytes:
                _copy_rest(self.stream, target)
                return

    def close(self) -> None:
        """Close the stream. Errors are ignored."""
        try:
            self.stream.close()
        except Exception:
            pass

    def __bool__(self) -> bool:
        return bool(self.filename)

    def __getattr__(self, name: str) -> Any:
        if name == "stream":  # while the object is being unpickled or copied
            raise AttributeError(name)
        try:
            return getattr(self.stream, name)
        except AttributeError:
            # Python's SpooledTemporaryFile had no io.IOBase methods before 3.11.
            inner = getattr(self.stream, "_file", None)
            if inner is None:
                raise
            return getattr(inner, name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.stream)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.filename!r} ({self.content_type!r})>"


def _copy_rest(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy what is left of a large file through one buffer, which is kept for the next file.

    The kernel copies to whole pages that are there already in 9/10 of the time that new objects
    take. A buffer belongs to one copy at a time, and to none after an error, whose traceback may
    keep views of it.
    """
    try:
        buffer = _kept.pop()
    except IndexError:
        buffer = _new_buffer()
    while count := source.readinto(buffer):  # type: ignore[attr-defined]
        target.write(buffer[:count])
    if not _kept:
        _kept.append(buffer)


_kept: list[memoryview] = []  # one buffer, or two if threads have ended a copy at one moment


def _new_buffer() -> memoryview:
    if sys.platform == "win32":
        return memoryview(bytearray(FILE_TO_FILE))
    import mmap

    # Private: a forked process gets a copy.
    return memoryview(mmap.mmap(-1, FILE_TO_FILE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def _is_file(stream: object) -> bool:
    """Whether the stream is one of Python's own, whose calls have no other effect."""
    return type(stream).__module__ in ("_io", "tempfile")


def _stream_name(stream: IO[bytes] | None) -> str | None:
    """The name of an open file; None for a file descriptor or a name such as "<stdin>"."""
    name = getattr(stream, "name", None)
    if not isinstance(name, str | bytes | os.PathLike):
        return None
    name = os.fsdecode(name)
    return None if name[:1] == "<" and name[-1:] == ">" else name


class FileMultiDict(MultiDict[str, FileStorage]):
    """Files by the names of their form fields."""

    def add_file(
        self,
        name: str,
        file: str | os.PathLike[str] | IO[bytes] | FileStorage,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> None:
        """Add a FileStorage, an open file, or the file at a path.

        The content type is guessed from the file name.
        """
        if isinstance(file, FileStorage):
            self.add(name, file)
            return
        stream: Any = file
        if isinstance(file, str | os.PathLike):
            filename = os.fspath(file) if filename is None else filename
            stream = open(file, "rb")  # noqa: PTH123
        if filename and content_type is None:
            from mimetypes import guess_type

            content_type = guess_type(filename)[0] or "application/octet-stream"
        self.add(name, FileStorage(stream, filename, name, content_type))
