"""Responses with a file: conditional, with ranges, sent by the kernel if the server supports it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from datetime import datetime
from time import time
from typing import IO, TYPE_CHECKING, Any
from zlib import adler32

from carboy.file_wrapper import FileWrapper
from carboy.http.exceptions import NotFound, RequestedRangeNotSatisfiable
from carboy.http.fields.headers import Headers
from carboy.http.request.request import Request
from carboy.http.response.response import Response
from carboy.http.security import safe_join
from carboy.http.wsgi import wrap_file
from carboy.late import parse, pathlib

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MaxAge = int | Callable[[str | None], int | None] | None
# Bytes read at a time if the kernel cannot send the file.
BLOCK = 64 * 1024
# RFC 8187, section 3.2.1: attr-char, besides letters and digits
_ATTR_CHAR = "!#$&+-.^_`|~"


class _Source:
    """The file to send, given as a path or an open file, and its properties."""

    __slots__ = ("encoding", "file", "mimetype", "modified", "name", "path", "size", "stat")

    def __init__(self, path_or_file: Any, root_path: Any, name: str | None) -> None:
        self.path: str | None = None
        self.file: IO[bytes] | None = None
        self.stat: os.stat_result | None = None
        self.size: int | None = None
        self.modified: float | None = None
        self.name = name
        if isinstance(path_or_file, str | os.PathLike) or hasattr(path_or_file, "__fspath__"):
            self._at_path(os.fspath(path_or_file), root_path)
        else:
            self._open_file(path_or_file)

    def _at_path(self, path: str, root_path: Any) -> None:
        if not os.path.isabs(path):  # noqa: PTH117
            path = str(pathlib.Path(root_path or pathlib.Path.cwd(), path))
        self.path = path
        self.stat = pathlib.Path(path).stat()
        self.size = self.stat.st_size
        self.modified = self.stat.st_mtime
        if self.name is None:
            self.name = os.path.basename(self.path)  # noqa: PTH119 (a Path drops a slash)

    def _open_file(self, file: Any) -> None:
        if isinstance(file, io.TextIOBase):
            raise ValueError(
                "Files must be opened in binary mode or use BytesIO, because a response is"
                " made of bytes."
            )
        self.file = file
        if isinstance(file, io.BytesIO):
            self.size = file.getbuffer().nbytes

    def guess(self, mimetype: str | None) -> None:
        """Find the media type, and the coding of a compressed file, by the name."""
        self.encoding: str | None = None
        if mimetype is None:
            if self.name is None:
                raise TypeError(
                    "Unable to detect the MIME type of a file without a name. Pass mimetype or"
                    " download_name, or a path."
                )
            from mimetypes import guess_type

            mimetype, self.encoding = guess_type(self.name)
        self.mimetype = mimetype or "application/octet-stream"

    def opened(self) -> IO[bytes]:
        if self.file is None:
            self.file = pathlib.Path(self.path or "").open("rb")
        return self.file


def send_file(
    path_or_file: str | os.PathLike[str] | IO[bytes],
    environ: WSGIEnvironment | Request,
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: datetime | int | float | None = None,
    max_age: MaxAge = None,
    use_x_sendfile: bool = False,
    response_class: type[Any] | None = None,
    _root_path: str | os.PathLike[str] | None = None,
) -> Any:
    """A response with a file, for the request with this environ or for a Request.

    The path has to be trusted; use `send_from_directory` for a path from a client. The name and
    the media type default to those of the path. `max_age` is in seconds, or a function of the
    path. Without it, the client has to revalidate the file each time.
    """
    source = _Source(path_or_file, _root_path, download_name)
    source.guess(mimetype)
    headers = _first_headers(source, as_attachment)
    body: Any = None
    if use_x_sendfile and source.path is not None:
        headers["X-Sendfile"] = source.path
    else:
        body = _wrapped(environ, source.opened())
    response = (response_class or Response)(
        body, mimetype=source.mimetype, headers=headers, direct_passthrough=True
    )
    try:
        _describe(response, source, last_modified, max_age, etag)
        if conditional:
            response.make_conditional(environ, accept_ranges=True, complete_length=source.size)
    except RequestedRangeNotSatisfiable:
        _close(source)
        raise
    return response


def _close(source: _Source) -> None:
    if source.file is not None:
        source.file.close()


def _wrapped(environ: WSGIEnvironment | Request, file: IO[bytes]) -> Any:
    """The file as a body, in the server's wrapper if there is an environ."""
    if isinstance(environ, Request):
        return FileWrapper(file, BLOCK)
    return wrap_file(environ, file)


def _first_headers(source: _Source, as_attachment: bool) -> Headers:
    headers = Headers()
    # A download has no coding, so that the browser saves the compressed file.
    if source.encoding is not None and not as_attachment:
        headers["Content-Encoding"] = source.encoding
    if source.name is not None:
        disposition = "attachment" if as_attachment else "inline"
        headers.set("Content-Disposition", disposition, **_file_names(source.name))
    elif as_attachment:
        raise TypeError(
            "No name provided for attachment. Pass download_name, or a path instead of a file."
        )
    return headers


def _file_names(name: str) -> dict[str, str]:
    """`filename` in ASCII, and `filename*` for a name that is not ASCII (RFC 6266)."""
    if name.isascii():
        return {"filename": name}
    from unicodedata import normalize

    simple = normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    return {"filename": simple, "filename*": f"UTF-8''{parse.quote(name, safe=_ATTR_CHAR)}"}


def _describe(
    response: Any,
    source: _Source,
    last_modified: datetime | int | float | None,
    max_age: MaxAge,
    etag: bool | str,
) -> None:
    """Set Content-Length, Last-Modified, Cache-Control, Expires and ETag."""
    if source.size is not None:
        response.headers["Content-Length"] = str(source.size)
    modified = source.modified if last_modified is None else last_modified
    if modified is not None:
        response.last_modified = modified
    _set_freshness(response, max_age(source.path) if callable(max_age) else max_age)
    if isinstance(etag, str):
        response.set_etag(etag)
    elif etag and source.path is not None and source.stat is not None:
        check = adler32(os.fsencode(source.path))
        response.set_etag(f"{source.stat.st_mtime}-{source.stat.st_size}-{check}")


def _set_freshness(response: Any, max_age: int | None) -> None:
    if max_age is None:
        response.headers["Cache-Control"] = "no-cache"
        return
    kind = "public" if max_age > 0 else "no-cache"
    response.headers["Cache-Control"] = f"{kind}, max-age={max_age}"
    response.expires = int(time() + max_age)


def send_from_directory(
    directory: str | os.PathLike[str],
    path: str | os.PathLike[str],
    environ: WSGIEnvironment | Request,
    **kwargs: Any,
) -> Any:
    """`send_file` for a path from a client, which has to be a file in `directory`.

    NotFound for other paths.
    """
    found = safe_join(os.fspath(directory), os.fspath(path))
    if found is None:
        raise NotFound
    # As in send_file, a relative directory is relative to the application's root.
    if "_root_path" in kwargs:
        found = str(pathlib.Path(kwargs["_root_path"], found))
    # Path.is_file would raise an exception for a name that is not possible in a file system.
    if not os.path.isfile(found):  # noqa: PTH113
        raise NotFound
    return send_file(found, environ, **kwargs)
