"""One call of an application whose head is kept back until its body is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from carboy.file_wrapper import FileWrapper

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

NOT_MODIFIED = "304"
# Ends the entity tags of changed pages; after it stands the state they were made in.
SEAL = "+live-"
# They are about the octets the application gave, which are no longer the ones sent.
UNTRUE = ("last-modified", "accept-ranges")


class HeldResponse:
    """What the application gave to start_response; `begin` passes it on.

    `seal` marks the entity tags of changed pages; `confirming`: the browser asks about such a
    tag, so that a 304 has to carry it.
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
        """Whether the server has the head already."""
        return self._write is not None

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """PEP 3333's start_response: remembers, until the head has gone out."""
        if self.begun:
            # The server knows what is still possible, and raises what is not.
            return self._start(status, headers, exc_info)
        if self.status and exc_info is None:
            raise AssertionError(
                "start_response was called a second time: only with exc_info may it be."
            )
        self.status = status
        self.headers = headers
        return self.write

    def write(self, data: bytes) -> object:
        """PEP 3333's imperative writing: the answer is not held up, nor changed."""
        self.begin()
        assert self._write is not None
        return self._write(data)

    def begin(self) -> None:
        """Give the server the head, unless it has it, or there is none: it will say so."""
        if not self.begun and self.status:
            if self._confirming and self.status.startswith(NOT_MODIFIED):
                self._mark_tags()
            self._write = self._start(self.status, self.headers)

    def values(self, *names: str) -> list[str]:
        """The values of the fields with these names, in lower case, in order."""
        return [value for name, value in self.headers if name.lower() in names]

    def change(self, size: int) -> None:
        """Correct the fields for a page that was changed, and is of `size` octets now."""
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
    """Whether it is a file that the server may send by itself."""
    wrapper = environ.get("wsgi.file_wrapper")
    own = isinstance(wrapper, type) and isinstance(result, wrapper)
    return own or isinstance(result, FileWrapper)
