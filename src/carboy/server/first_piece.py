"""The first piece of a body, taken while the answer can still become an error page.

A generator runs none of its code before its first piece is asked for. Were the head sent first,
or counted as sent, a mistake at the start of it would leave nothing but a cut connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from carboy.gateway.interface import Answer, FileBody
from carboy.gateway.wsgi import checked
from carboy.net.files import regular_file


def with_first_piece(answer: Answer) -> Answer:
    """The answer with the first piece of its body made; raises what the body raises by then.

    A body that is complete, or a file for the kernel to send, is left as it is. Closing stays
    the caller's, whether this raises or not.
    """
    status, headers, body, close = answer
    if isinstance(body, bytes):
        return answer
    if isinstance(body, FileBody) and regular_file(body.file) is not None:
        return answer
    return status, headers, begun(body), close


def begun(body: Iterable[bytes]) -> Iterable[bytes]:
    """The pieces of `body` that are not empty; the first of them is made here."""
    pieces = filter(None, map(checked, body))
    first = next(pieces, None)
    return () if first is None else chain((first,), pieces)
