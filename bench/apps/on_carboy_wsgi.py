"""The application on Carboy behind a middleware that does nothing, so on the WSGI lane."""

from typing import Any

import carboy
from bench.apps.views import build

app = build(carboy)
inner = app.wsgi_app


def middleware(environ: Any, start_response: Any) -> Any:
    """The cheapest middleware."""
    return inner(environ, start_response)


app.wsgi_app = middleware
