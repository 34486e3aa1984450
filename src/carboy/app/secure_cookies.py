"""The advice to send session cookies over TLS only, given once by each application."""

from __future__ import annotations

from typing import Any

from carboy.app.active import _cv

ADVISED = "_advised_secure_cookies"  # in the namespace of an application


def advise_secure_cookies(app: Any) -> None:
    """Log the advice if the request came over TLS: the cookie would also go over plain HTTP."""
    if ADVISED in app.__dict__:
        return
    frame = _cv.get()
    request = None if frame is None or frame.request_ctx is None else frame.request
    if request is not None and request.is_secure:
        import logging

        app.__dict__[ADVISED] = True
        logging.getLogger("carboy.error").warning(
            "The application %s sends session cookies that browsers also send over plain HTTP."
            " Set SESSION_COOKIE_SECURE to True.",
            app.name,
        )
