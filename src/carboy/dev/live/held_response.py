"""A response whose status and headers are held back until its body is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from carboy.file_wrapper import FileWrapper

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

NOT_MODIFIED = "304"
# Separates the application's entity tag from the state that a changed page was made in.
SEAL = "+live-"
# Fields about the bytes of the application's response, which are not the bytes that are sent.
UNTRUE = ("last-modified", "accept-ranges")


class HeldResponse:
    """The arguments of start_response, held back until `begin` passes them to the server.

    `seal` is added to the entity tags of changed pages. `confirming` says that the browser asked
    about a sealed tag, so that a 304 has to carry it too.
    """

    def __init__(self, start_response: StartResponse, seal: str, confirming: bool = False) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self._seal = seal
        self._confirming = confirming
        self._start = start_response
        self._write: Callable[[bytes], object] | None = None

    @property
    def begun(self) -> bool:
        """Whether the server has been given the status and the headers."""
        return self._write is not None

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """PEP 3333's start_response. Stores its arguments until `begin`."""
        if self.begun:
            # The server raises an error if it has sent the headers.
            return self._start(status, headers, exc_info)
        if self.status and exc_info is None:
            raise AssertionError("start_response was called twice. A second call needs exc_info.")
        self.status = status
        self.headers = headers
        return self.write

    def write(self, data: bytes) -> object:
        """PEP 3333's write(): the response is neither held back nor changed."""
        self.begin()
        assert self._write is not None
        return self._write(data)

    def begin(self) -> None:
        """Pass status and headers to the server, once the application has given them."""
        if not self.begun and self.status:
            if self._confirming and self.status.startswith(NOT_MODIFIED):
                self._mark_tags()
            self._write = self._start(self.status, self.headers)

    def values(self, *names: str) -> list[str]:
        """The values of the fields with these names (in lower case), in their order."""
        return [value for name, value in self.headers if name.lower() in names]

    def change(self, size: int) -> None:
        """Adapt the headers to a changed page of `size` bytes."""
        self._mark_tags()
        self.headers = [
            (name, str(size) if name.lower() == "content-length" else value)
            for name, value in self.headers
            if name.lower() not in UNTRUE
        ]

    def _mark_tags(self) -> None:
        self.headers = [
            (name, self._marked(value) if name.lower() == "etag" else value)
            for name, value in self.headers
        ]

    def _marked(self, tag: str) -> str:
        return f'{tag[:-1]}{SEAL}{self._seal}"' if tag.endswith('"') else tag


def is_file(result: Any, environ: WSGIEnvironment) -> bool:
    """Whether the result is a file that the server may send without reading it in Python."""
    wrapper = environ.get("wsgi.file_wrapper")
    own = isinstance(wrapper, type) and isinstance(result, wrapper)
    return own or isinstance(result, FileWrapper)
