"""Protection against forms on other sites that post in a user's name.

Each form contains a token that is also in the signed session. A request that changes data and
does not contain the token is refused. The API is exempt: it ignores cookies, so a browser cannot
be made to use it in a user's name.
"""

from __future__ import annotations

import hmac
import secrets

from markupsafe import Markup

from carboy import Flask, abort, request, session

FIELD = "csrf_token"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def install(app: Flask) -> None:
    app.before_request(check)
    app.add_template_global(field, "csrf_field")


def token() -> str:
    if FIELD not in session:
        session[FIELD] = secrets.token_urlsafe(24)
    value: str = session[FIELD]
    return value


def field() -> Markup:
    """The hidden field at the start of each form."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token())


def check() -> None:
    if request.method in SAFE_METHODS or request.blueprint == "api":
        return
    expected = session.get(FIELD, "")
    given = request.form.get(FIELD, "")
    if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        abort(
            400,
            "This form is too old, or is not from this site. Go back, reload and try again.",
        )
