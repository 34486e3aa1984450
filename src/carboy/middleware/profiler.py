"""Profiles of requests: where their time is spent."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from cProfile import Profile
from pstats import Stats
from typing import IO, Any

__all__ = ["ProfilerMiddleware"]

FILENAME = "{method}.{path}.{elapsed:.0f}ms.{time:.0f}.prof"


class ProfilerMiddleware:
    """Profiles every request with cProfile, to a stream, to files, or both.

    `stream` gets a table for each request, sorted by `sort_by` and limited by `restrictions` as in
    pstats; None writes no tables. `profile_dir` gets a file for each request. `filename_format`
    names it: a pattern with method, path, elapsed (milliseconds) and time (seconds), or a function
    of the environ, which has elapsed and time in `environ["werkzeug.profiler"]`.
    """

    def __init__(
        self,
        app: Any,
        stream: IO[str] | None = sys.stdout,
        sort_by: Iterable[str] = ("time", "calls"),
        restrictions: Iterable[str | int | float] = (),
        profile_dir: str | None = None,
        filename_format: str | Callable[[dict[str, Any]], str] = FILENAME,
    ) -> None:
        self._app = app
        self._stream = stream
        self._sort_by = sort_by
        self._restrictions = restrictions
        self._profile_dir = profile_dir
        self._filename_format = filename_format

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        profile = Profile()
        start = time.time()
        body = profile.runcall(self._answer, environ, start_response)
        self._report(profile, environ, (time.time() - start) * 1000)
        return [body]

    def _answer(self, environ: dict[str, Any], start_response: Any) -> bytes:
        """The complete body, so that the profile includes generators."""
        written: list[bytes] = []

        def start(status: Any, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
            start_response(status, headers, exc_info)
            return written.append

        answer = self._app(environ, start)
        try:
            written.extend(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        return b"".join(written)

    def _report(self, profile: Profile, environ: dict[str, Any], elapsed: float) -> None:
        if self._profile_dir is not None:
            name = self._filename(environ, elapsed)
            profile.dump_stats(os.path.join(self._profile_dir, name))  # noqa: PTH118 — text
        if self._stream is not None:
            line = "-" * 80
            self._stream.write(f"{line}\nPATH: {environ.get('PATH_INFO', '')!r}\n")
            stats = Stats(profile, stream=self._stream)
            stats.sort_stats(*self._sort_by)
            stats.print_stats(*self._restrictions)
            self._stream.write(f"{line}\n\n")

    def _filename(self, environ: dict[str, Any], elapsed: float) -> str:
        if callable(self._filename_format):
            environ["werkzeug.profiler"] = {"elapsed": elapsed, "time": time.time()}
            return self._filename_format(environ)
        path = environ.get("PATH_INFO", "").strip("/").replace("/", ".") or "root"
        return self._filename_format.format(
            method=environ["REQUEST_METHOD"], path=path, elapsed=elapsed, time=time.time()
        )
