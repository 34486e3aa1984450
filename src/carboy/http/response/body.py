"""The body of a response: methods of Response, and the response as a file to write to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from carboy.http.request.body import loads_untrusted

if TYPE_CHECKING:
    from carboy.http.response.response import Response


def get_data(response: Response, as_text: bool = False) -> bytes | str:
    """The whole body as bytes, or as text decoded from UTF-8. An iterable is read to its end."""
    response._ensure_sequence()
    data = b"".join(response.iter_encoded())
    return data.decode() if as_text else data


def set_data(response: Response, value: bytes | str) -> None:
    """Replace the body and update Content-Length."""
    if isinstance(value, str):
        value = value.encode()
    response.response = [value]
    if response.automatically_set_content_length:
        if "headers" in response.__dict__:
            response.headers["Content-Length"] = str(len(value))
        else:
            response._length = len(value)


def calculate_content_length(response: Response) -> int | None:
    """Number of bytes in the body; None if it cannot be known without reading the body."""
    try:
        response._ensure_sequence()
    except RuntimeError:
        return None
    return sum(len(chunk) for chunk in response.iter_encoded())


def ensure_sequence(response: Response, mutable: bool = False) -> None:
    """Read the body into a list unless it is a sequence already. RuntimeError if forbidden."""
    if response.is_sequence:
        if mutable and not isinstance(response.response, list):
            response.response = list(response.response)
        return
    if response.direct_passthrough:
        raise RuntimeError(
            "Attempted implicit sequence conversion in direct passthrough mode: the server"
            " reads the body. Set direct_passthrough to False first."
        )
    if not response.implicit_sequence_conversion:
        raise RuntimeError(
            "The response required the iterable to be a sequence, and"
            " implicit_sequence_conversion is off. Call make_sequence() first."
        )
    response.make_sequence()


def make_sequence(response: Response) -> None:
    """Read the body into a list. The iterable is closed when the response is closed."""
    if response.is_sequence:
        return
    close = getattr(response.response, "close", None)
    response.response = list(response.iter_encoded())
    if close is not None:
        response.call_on_close(close)


def iter_encoded(response: Response) -> Iterator[bytes]:
    """The pieces of the body, text encoded as UTF-8."""
    # An inner generator takes the current body: the response may get another one before the
    # first piece is read.
    pieces = response.response
    return _encoded(response._async_pieces(pieces) if hasattr(pieces, "__aiter__") else pieces)


def _encoded(pieces: Iterable[bytes | str]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece.encode() if isinstance(piece, str) else piece


def freeze(response: Response) -> None:
    """Prepare the response for pickling or caching: body in a list, Content-Length and ETag."""
    response.response = list(response.iter_encoded())
    response.headers["Content-Length"] = str(sum(map(len, response.response)))
    response.add_etag()


def get_json(response: Response, force: bool = False, silent: bool = False) -> Any:
    """The body as JSON; None unless Content-Type is JSON or `force` is set.

    ValueError if the body is not valid JSON; None instead with `silent`.
    """
    if not (force or response.is_json):
        return None
    try:
        data: Any = response.get_data()
        return loads_untrusted(response.json_module, data)
    except ValueError:
        if not silent:
            raise
        return None


class ResponseStream:
    """A file that appends to a response's body. Writing removes Content-Length."""

    mode = "wb+"

    def __init__(self, response: Any) -> None:
        self.response = response
        self.closed = False

    def write(self, value: bytes | str) -> int:
        """Append bytes or text and return the length of `value`."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        self.response._ensure_sequence(mutable=True)
        self.response.response.append(value)
        self.response.headers.pop("Content-Length", None)
        return len(value)

    def writelines(self, seq: Iterable[bytes | str]) -> None:
        for item in seq:
            self.write(item)

    def close(self) -> None:
        self.closed = True

    def flush(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def isatty(self) -> bool:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return False

    def tell(self) -> int:
        self.response._ensure_sequence()
        return sum(map(len, self.response.response))

    @property
    def encoding(self) -> str:
        return "utf-8"
