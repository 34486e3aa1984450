"""The lines about the rule that matches a request, of one application or of mounted ones."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from carboy.cli import locate
from carboy.dev.routes import matching
from carboy.gateway.mounts import Mounts


def applications(app: Any) -> list[Any]:
    """The application, or all that are mounted."""
    return [each.app for each in app.all()] if isinstance(app, Mounts) else [app]


def lines(app: Any, method: str, path: str) -> list[str]:
    """Lines about the rule for a request, [] for an application without rules.

    `path` is as it is in the request, percent-encoded; it may have a host. Of mounted applications,
    the first line names the one that gets the request, and its prefix.
    """
    if not isinstance(app, Mounts):
        # Quart's rules cannot be matched alone.
        return matching.of_app(app, method, unquote(path)) if locate.is_flask_like(app) else []
    mount, size = app.find(path)
    return [f"{mount.shown()}  {mount.named()}", *lines(mount.app, method, path[size:] or "/")]


def of_request(app: Any, method: str, path: str) -> list[str]:
    """The lines, of which the first names the request."""
    found = lines(app, method, path)
    return [f"{method} {unquote(path)}", *found] if isinstance(app, Mounts) else found
