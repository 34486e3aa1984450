"""`stream`: a response that an iterator makes piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

from carboy.app.async_body import AsyncBody
from carboy.app.globals import current_app
from carboy.app.wrappers import Response


def stream(
    source: Iterable[str | bytes] | AsyncIterable[str | bytes],
    *,
    cancel: bool = False,
    status: int | str | None = None,
    headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
    mimetype: str | None = None,
    content_type: str | None = None,
) -> Response:
    """A response with the pieces of an iterator, each sent when it has come.

    With `cancel`, the iterator is closed at once when the client goes or the server stops, even
    while it waits for its next piece. A plain iterator is then run in a thread of its own, and
    GeneratorExit is raised in it; a call that waits inside C returns first. Without `cancel`, a
    plain iterator is closed when it gives its next piece.
    """
    body: Any = source
    if cancel:
        body = AsyncBody(as_async(source), ends_at_stop=True)
    return current_app.response_class(body, status, headers, mimetype, content_type)


def as_async(source: Any) -> Any:
    """An async iterable of the values of `source`."""
    if hasattr(source, "__aiter__"):
        return source
    from carboy.realtime.thread_source import ThreadSource

    return ThreadSource(iter(source))
