"""The first piece of a response that is made in pieces: it is made before the head is sent."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from carboy.gateway.interface import Answer, is_file_body
from carboy.gateway.wsgi import checked
from carboy.net.stream import regular_file


def with_first_piece(answer: Answer) -> Answer:
    """The answer with the first piece of its body made; raises what the body raises until then.

    A generator runs none of its code before its first piece is asked for. If the head were sent
    first, an error at the start of the generator could not become an error page.
    A body that is complete, or a file for the kernel to send, is left as it is. The caller closes
    the answer, whether this raises or not.
    """
    status, headers, body, close = answer
    if isinstance(body, bytes):
        return answer
    if file_to_send(body) is not None:
        return answer
    return status, headers, begun(body), close


def file_to_send(body: Any) -> int | None:
    """The descriptor of a FileBody that the kernel can send; None for another body."""
    return regular_file(body.file) if is_file_body(body) else None


def begun(body: Iterable[bytes]) -> Iterable[bytes]:
    """The pieces of `body` that are not empty; the first of them is made here."""
    pieces = filter(None, map(checked, body))
    first = next(pieces, None)
    return () if first is None else chain((first,), pieces)
