"""All paths of the admin server. To add one, add a line here."""

from __future__ import annotations

from carboy.server.admin import status
from carboy.server.admin.paths import Paths


def all_paths() -> Paths:
    """The table."""
    paths = Paths()
    paths.add("GET", "/server", status.server)
    paths.add("GET", "/status", status.status)
    return paths
