"""Security headers of each response."""

from __future__ import annotations

from carboy import Flask, Response, current_app

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data: blob:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


# Under `carboy dev`, a script in the page connects to the server to learn of changes.
POLICY_IN_DEBUG = POLICY + "; connect-src 'self'"


def install(app: Flask) -> None:
    app.after_request(guard)


def guard(response: Response) -> Response:
    headers = response.headers
    policy = POLICY_IN_DEBUG if current_app.debug else POLICY
    headers.setdefault("Content-Security-Policy", policy)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    return response
