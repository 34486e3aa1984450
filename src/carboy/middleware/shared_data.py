"""Static files in front of an application."""

from __future__ import annotations

import importlib.util
import mimetypes
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path
from time import time
from typing import IO, Any
from zlib import adler32

from carboy.http import (
    get_content_type,
    get_path_info,
    http_date,
    is_resource_modified,
    quote_etag,
    safe_join,
    wrap_file,
)

__all__ = ["SharedDataMiddleware"]

# Opens a file and returns it, its modification time in UTC, and its size.
Opener = Callable[[], tuple[IO[bytes], datetime, int]]
Found = tuple[str | None, Opener | None]
Loader = Callable[[str | None], Found]
Exports = Mapping[str, Any] | Iterable[tuple[str, Any]]


class SharedDataMiddleware:
    """Answers with a file if `exports` has one for the path, and passes other requests to `app`.

    `exports` maps path prefixes to a folder, a file, or (package, folder in it). Files whose names
    match the fnmatch pattern `disallow` are not served. With `cache`, an ETag is sent and clients
    may keep a file for `cache_timeout` seconds. Raises TypeError for other exports, and ValueError
    for an unknown package.
    """

    def __init__(
        self,
        app: Any,
        exports: Exports,
        disallow: str | None = None,
        cache: bool = True,
        cache_timeout: int = 60 * 60 * 12,
        fallback_mimetype: str = "application/octet-stream",
    ) -> None:
        self.app = app
        self.exports: list[tuple[str, Loader]] = []
        self.cache = cache
        self.cache_timeout = cache_timeout
        self.fallback_mimetype = fallback_mimetype
        pairs = exports.items() if isinstance(exports, Mapping) else exports
        for prefix, value in pairs:
            self.exports.append((prefix, self._loader(value)))
        if disallow is not None:
            self.is_allowed = lambda filename: not fnmatch(filename, disallow)  # type: ignore[method-assign]

    def _loader(self, value: Any) -> Loader:
        if isinstance(value, tuple):
            return self.get_package_loader(*value)
        if not isinstance(value, str):
            raise TypeError(
                f"unknown def {value!r}: an export is a folder, a file or (package, folder in it)."
            )
        if Path(value).is_file():
            return self.get_file_loader(value)
        return self.get_directory_loader(value)

    def is_allowed(self, filename: str) -> bool:
        """Whether this file may be served. Override it, or give `disallow`, to refuse files."""
        return True

    def get_file_loader(self, filename: str) -> Loader:
        """A loader that returns the same file for every path."""
        return lambda _: (Path(filename).name, self._opener(filename))

    def get_package_loader(self, package: str, package_path: str) -> Loader:
        """A loader of files in a package, which may be in a zip archive."""
        spec = importlib.util.find_spec(package)
        if spec is None or spec.loader is None:
            raise ValueError(
                f"Package {package!r} does not exist. Export files of an installed package."
            )
        get_data = getattr(spec.loader, "get_data", None)
        roots = spec.submodule_search_locations or [str(Path(spec.origin or "").parent)]

        def load(path: str | None) -> Found:
            if path is None:
                return None, None
            inside = safe_join(package_path, path)
            if inside is None:
                return None, None
            for root in roots:
                whole = os.path.join(root, inside)  # noqa: PTH118
                if os.path.isfile(whole):  # noqa: PTH113
                    return Path(whole).name, self._opener(whole)
                if get_data is not None and not os.path.isdir(root):  # noqa: PTH112
                    return self._from_archive(get_data, whole, spec.origin)
            return None, None

        return load

    def _from_archive(self, get_data: Any, whole: str, origin: str | None) -> Found:
        try:
            content = get_data(whole)
        except OSError:
            return None, None
        changed = datetime.now(tz=UTC)
        archive = next((each for each in Path(origin or "").parents if each.is_file()), None)
        if archive is not None:
            changed = datetime.fromtimestamp(archive.stat().st_mtime, tz=UTC)
        return Path(whole).name, lambda: (BytesIO(content), changed, len(content))

    def get_directory_loader(self, directory: str) -> Loader:
        """A loader of the files under a folder."""

        def load(path: str | None) -> Found:
            whole: str | None = directory
            if path is not None:
                whole = safe_join(directory, path)
            if whole is not None and os.path.isfile(whole):  # noqa: PTH113
                return Path(whole).name, self._opener(whole)
            return None, None

        return load

    def _opener(self, filename: str) -> Opener:
        def open_file() -> tuple[IO[bytes], datetime, int]:
            file = open(filename, "rb")  # noqa: PTH123
            status = os.fstat(file.fileno())
            return file, datetime.fromtimestamp(status.st_mtime, tz=UTC), status.st_size

        return open_file

    def generate_etag(self, mtime: datetime, file_size: int, real_filename: str | bytes) -> str:
        """An entity tag made of the file's modification time, size and name."""
        name = real_filename.encode() if isinstance(real_filename, str) else real_filename
        return f"wzsdm-{mtime.timestamp()}-{file_size}-{adler32(name) & 0xFFFFFFFF}"

    def _find(self, path: str) -> Found:
        for prefix, loader in self.exports:
            found: Found = (None, None)
            if prefix == path:
                found = loader(None)
            if found[1] is None:
                folder = prefix if prefix.endswith("/") else f"{prefix}/"
                if path.startswith(folder):
                    found = loader(path[len(folder) :])
            if found[1] is not None:
                return found
        return None, None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        name, opener = self._find(get_path_info(environ))
        if opener is None or name is None or not self.is_allowed(name):
            return self.app(environ, start_response)  # type: ignore[no-any-return]
        guessed = mimetypes.guess_type(name)[0] or self.fallback_mimetype
        file, changed, size = opener()
        headers = [("Date", http_date())]
        if self.cache:
            etag = self.generate_etag(changed, size, name)
            headers += [
                ("Etag", quote_etag(etag)),
                ("Cache-Control", f"max-age={self.cache_timeout}, public"),
            ]
            if not is_resource_modified(environ, etag, last_modified=changed):
                file.close()
                start_response("304 Not Modified", headers)
                return []
            headers.append(("Expires", http_date(time() + self.cache_timeout)))
        else:
            headers.append(("Cache-Control", "public"))
        headers += [
            ("Content-Type", get_content_type(guessed, "utf-8")),
            ("Content-Length", str(size)),
            ("Last-Modified", http_date(changed)),
        ]
        start_response("200 OK", headers)
        return wrap_file(environ, file)
