"""Where the pages of the developer's tools are, and which requests they accept."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ROOT = "/__carboy__/"


def same_origin(environ: WSGIEnvironment) -> bool:
    """Whether the request comes from a page of this server (Fetch Metadata, Origin)."""
    if environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in ("same-origin", "none"):
        return False
    origin = environ.get("HTTP_ORIGIN")
    # The scheme is not compared, because a proxy may have terminated TLS.
    return origin is None or urlsplit(origin).netloc == environ.get("HTTP_HOST")
