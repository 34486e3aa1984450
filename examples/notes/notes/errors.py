"""Error pages in the style of the application, and JSON errors for programs."""

from __future__ import annotations

from carboy import Flask, Response, jsonify, make_response, render_template, request
from carboy.http.exceptions import HTTPException

TITLES = {
    400: "This request did not work",
    401: "Log in first",
    403: "You may not see this page",
    404: "Page not found",
    405: "This method is not allowed",
    413: "Too large",
    500: "Something went wrong",
}
ADVICE = {
    404: "This page does not exist. It may have been deleted, or the address may be wrong.",
    413: "A picture may have up to 5 MiB. Make it smaller and try again.",
    500: "The error has been logged. Try again in a moment.",
}


def install(app: Flask) -> None:
    app.register_error_handler(HTTPException, show)


def show(error: HTTPException) -> Response | HTTPException:
    """The page for `error`, with its headers (Allow, Retry-After, …); redirects are not changed."""
    status = error.code
    if status is None or status < 400 or error.response is not None:
        return error
    message = ADVICE.get(status) or error.description or error.name
    if request.path.startswith("/api/"):
        answer = jsonify(error={"status": status, "message": error.description})
    else:
        title = TITLES.get(status, error.name)
        page = render_template("error.html", status=status, title=title, message=message)
        answer = make_response(page)
    answer.status_code = status
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            answer.headers[name] = value
    return answer
