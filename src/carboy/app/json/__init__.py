"""JSON as the active application writes it; outside one, as the default provider does."""

from __future__ import annotations

import json as _json
from typing import IO, TYPE_CHECKING, Any

from carboy.app.globals import active_app, current_app
from carboy.app.json.provider import _default

if TYPE_CHECKING:
    from carboy.app.wrappers import Response

__all__ = ["dump", "dumps", "jsonify", "load", "loads"]


def dumps(obj: Any, **kwargs: Any) -> str:
    """`obj` as JSON text, by the application's provider."""
    app = active_app()
    if app is not None:
        return app.json.dumps(obj, **kwargs)
    kwargs.setdefault("default", _default)
    return _json.dumps(obj, **kwargs)


def dump(obj: Any, fp: IO[str], **kwargs: Any) -> None:
    """Write `obj` as JSON text to a file."""
    if current_app:
        current_app.json.dump(obj, fp, **kwargs)
        return
    kwargs.setdefault("default", _default)
    _json.dump(obj, fp, **kwargs)


def loads(s: str | bytes, **kwargs: Any) -> Any:
    """What JSON text says."""
    app = active_app()
    if app is not None:
        return app.json.loads(s, **kwargs)
    return _json.loads(s, **kwargs)


def load(fp: IO[Any], **kwargs: Any) -> Any:
    """What the JSON text in a file says."""
    if current_app:
        return current_app.json.load(fp, **kwargs)
    return _json.load(fp, **kwargs)


def jsonify(*args: Any, **kwargs: Any) -> Response:
    """A JSON response: of the one argument, of a list of several, or of the keywords."""
    return current_app.json.response(*args, **kwargs)
