"""Forms of other sites cannot post in a user's name.

Every form carries a token that is also in the signed session; a request that changes
something and does not bring it is refused. The API is exempt: it never looks at
cookies, so another site has nothing to abuse there.
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
    """The hidden field every form of ours starts with."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token())


def check() -> None:
    if request.method in SAFE_METHODS or request.blueprint == "api":
        return
    expected = session.get(FIELD, "")
    given = request.form.get(FIELD, "")
    if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        abort(400, "This form is too old, or did not come from here. Go back, reload, try again.")
