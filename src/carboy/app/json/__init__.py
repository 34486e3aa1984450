"""JSON by the provider of the active application; without one, by the default provider."""

from __future__ import annotations

import json as _json
from typing import IO, TYPE_CHECKING, Any

from carboy.app.active import active_app, find_app
from carboy.app.json.provider import _default

if TYPE_CHECKING:
    from carboy.http.response.response import Response

__all__ = ["dump", "dumps", "jsonify", "load", "loads"]


def dumps(obj: Any, **kwargs: Any) -> str:
    """`obj` as JSON text, by the application's provider."""
    app = active_app()
    if app is not None:
        return app.json.dumps(obj, **kwargs)  # type: ignore[no-any-return]
    kwargs.setdefault("default", _default)
    return _json.dumps(obj, **kwargs)


def dump(obj: Any, fp: IO[str], **kwargs: Any) -> None:
    """Write `obj` as JSON text to a file."""
    app = active_app()
    if app is not None:
        app.json.dump(obj, fp, **kwargs)
        return
    kwargs.setdefault("default", _default)
    _json.dump(obj, fp, **kwargs)


def loads(s: str | bytes, **kwargs: Any) -> Any:
    """The value of JSON text."""
    app = active_app()
    if app is not None:
        return app.json.loads(s, **kwargs)
    return _json.loads(s, **kwargs)


def load(fp: IO[Any], **kwargs: Any) -> Any:
    """The value of the JSON text in a file."""
    app = active_app()
    if app is not None:
        return app.json.load(fp, **kwargs)
    return _json.load(fp, **kwargs)


def jsonify(*args: Any, **kwargs: Any) -> Response:
    """A JSON response: of the only argument, of a list of several, or of the keywords."""
    return find_app().json.response(*args, **kwargs)  # type: ignore[no-any-return]
