"""Redirect responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carboy.http.response.response import Response as BaseResponse
from carboy.http.wsgi import environ_text, get_path_info
from carboy.late import markupsafe

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def redirect(
    location: str, code: int = 302, Response: type[BaseResponse] | None = None
) -> BaseResponse:
    """A response with a Location, and a page with a link for clients that do not follow it.

    `code` is 301, 302, 303, 307 or 308. `Response` is the class of the response.
    """
    target = markupsafe.escape(location)
    page = (
        "<!doctype html>\n"
        "<html lang=en>\n"
        "<title>Redirecting...</title>\n"
        "<h1>Redirecting...</h1>\n"
        "<p>You should be redirected automatically to the target URL: "
        f'<a href="{target}">{target}</a>. If not, click the link.\n'
    )
    response = (Response or BaseResponse)(page, code, mimetype="text/html")
    response.headers["Location"] = location
    return response


def append_slash_redirect(environ: WSGIEnvironment, code: int = 308) -> BaseResponse:
    """A redirect to the URL of the request with a slash at the end.

    The location is relative, so that no part of the path can be read as a host.
    """
    tail = get_path_info(environ).rpartition("/")[2]
    location: Any = f"{tail}/" if tail else "./"
    query = environ_text(environ.get("QUERY_STRING", ""))
    return redirect(f"{location}?{query}" if query else location, code)
