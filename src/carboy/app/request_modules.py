"""Modules that some requests need and `import carboy` leaves out, for a server to load first.

A request could load them itself, but not when no descriptor is left, or when a deployment has
removed the files of the running server. The supervisor loads them before it forks, and the workers
share their memory.

Jinja2 and asyncio are not among them: they are large, and a template needs a descriptor as well.
"""

from __future__ import annotations

from importlib import import_module

NAMES = (
    "base64",
    "markupsafe",
    "urllib.parse",
    "carboy.app.logging",
    "carboy.http.fields.accept",
    "carboy.http.fields.auth",
    "carboy.http.fields.cache_control",
    "carboy.http.fields.cookies",
    "carboy.http.fields.etag",
    "carboy.http.fields.policies",
    "carboy.http.fields.ranges",
    "carboy.http.forms.file_storage",
    "carboy.http.forms.parser",
    "carboy.http.request.client_certificate",
)
SIGNING = "carboy.app.session_signing"  # loads OpenSSL


def load(signing: bool) -> None:
    """Load the modules, and with `signing` also what signs and verifies sessions."""
    for name in NAMES:
        import_module(name)
    if signing:
        import_module(SIGNING)
