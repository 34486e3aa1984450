"""The encoder of multipart/form-data for requests that tests make (RFC 7578)."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator, Mapping
from typing import IO, Any

from carboy.http.containers.multidict import iter_multi_items
from carboy.http.fields.syntax import FORM_NAME_ESCAPES

_PIECE = 64 * 1024


def stream_encode_multipart(
    data: Mapping[str, Any],
    use_tempfile: bool = True,
    threshold: int = 512_000,
    boundary: str | None = None,
) -> tuple[IO[bytes], int, str]:
    """The form as a stream, its length in bytes, and its boundary.

    Values with a `read` method (FileStorage) are sent as files. For more than `threshold` bytes the
    stream is a temporary file, unless `use_tempfile` is False.
    """
    boundary = boundary or f"carboy-{secrets.token_hex(16)}"
    stream: IO[bytes] = io.BytesIO()
    in_memory = True
    for piece in _pieces(data, boundary):
        if in_memory and use_tempfile and stream.tell() + len(piece) > threshold:
            stream, in_memory = _moved_to_file(stream), False
        stream.write(piece)
    length = stream.tell()
    stream.seek(0)
    return stream, length, boundary


def encode_multipart(values: Mapping[str, Any], boundary: str | None = None) -> tuple[str, bytes]:
    """The boundary and the form as bytes."""
    stream, _, boundary = stream_encode_multipart(values, use_tempfile=False, boundary=boundary)
    return boundary, stream.read()


def _moved_to_file(stream: IO[bytes]) -> IO[bytes]:
    from tempfile import TemporaryFile

    file = TemporaryFile("wb+")
    stream.seek(0)
    file.write(stream.read())
    return file


def _pieces(data: Mapping[str, Any], boundary: str) -> Iterator[bytes]:
    for name, value in iter_multi_items(data):
        yield f"\r\n--{boundary}\r\n".encode()
        if hasattr(value, "read"):
            yield from _file(name, value)
        else:
            text = value if isinstance(value, bytes) else str(value).encode()
            yield _head(name, None, []) + text
    yield f"\r\n--{boundary}--\r\n".encode()


def _file(name: str, file: Any) -> Iterator[bytes]:
    filename = getattr(file, "filename", getattr(file, "name", None))
    given = [(key, value) for key, value in getattr(file, "headers", ())]
    fields = [(key, value) for key, value in given if key.lower() != "content-type"]
    kind = getattr(file, "content_type", None) or _guessed(filename)
    yield _head(name, filename, [*fields, ("Content-Type", kind)])
    while piece := file.read(_PIECE):
        yield piece


def _guessed(filename: str | None) -> str:
    from mimetypes import guess_type

    return (guess_type(filename)[0] if filename else None) or "application/octet-stream"


def _head(name: str, filename: str | None, fields: list[tuple[str, str]]) -> bytes:
    lines = [f'Content-Disposition: form-data; name="{str(name).translate(FORM_NAME_ESCAPES)}"']
    if filename is not None:
        lines[0] += f'; filename="{str(filename).translate(FORM_NAME_ESCAPES)}"'
    skipped = {"content-disposition", "content-length"}
    lines += [f"{key}: {value}" for key, value in fields if key.lower() not in skipped]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
