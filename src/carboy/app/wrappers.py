"""The application's request and response: those of `http`, and what needs an application."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from carboy.app import json
from carboy.app.active import NO_REQUEST, _cv, active_app, exchange_of
from carboy.app.async_body import body_of
from carboy.app.early_hints import link_of, send_early_hints
from carboy.http.exceptions import BadRequest, HTTPException
from carboy.http.request.request import Request as RequestBase
from carboy.http.response.response import Response as ResponseBase

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable

    from carboy.routing import Rule

__all__ = ["DebugFilesKeyError", "Request", "Response", "attach_enctype_error_multidict"]


@cache
def _split_blueprint_path(name: str) -> list[str]:
    """The name of a blueprint and the names of its parents, innermost first."""
    names = [name]
    while "." in name:
        name = name.rpartition(".")[0]
        names.append(name)
    return names


def _limit(own: str, key: str, text: str) -> Any:
    """A limit: set on the request, or else by the configuration, or else by the class."""

    def read(self: Request) -> int | None:
        value: int | None = getattr(self, own)
        if value is None:
            try:
                value = _cv.get().app.config[key]
            except AttributeError:  # no application is active
                value = getattr(RequestBase, key.lower())
        return value

    def write(self: Request, value: int | None) -> None:
        setattr(self, own, value)

    return property(read, write, doc=text)


class Request(RequestBase):
    """`http.Request` with its rule, its view arguments and the limits of the application."""

    json_module: Any = json
    url_rule: Rule | None = None
    view_args: dict[str, Any] | None = None
    routing_exception: HTTPException | None = None
    _max_content_length: int | None = None
    _max_form_memory_size: int | None = None
    _max_form_parts: int | None = None

    max_content_length = _limit(
        "_max_content_length",
        "MAX_CONTENT_LENGTH",
        "Maximum size of the content in bytes; a larger one is a 413.",
    )
    max_form_memory_size = _limit(
        "_max_form_memory_size",
        "MAX_FORM_MEMORY_SIZE",
        "Maximum size of a form field in bytes; a larger one is a 413.",
    )
    max_form_parts = _limit(
        "_max_form_parts", "MAX_FORM_PARTS", "Maximum number of form parts; more are a 413."
    )

    @property
    def endpoint(self) -> str | None:
        """The endpoint of the rule that matched, or None."""
        rule = self.url_rule
        return None if rule is None else rule.endpoint

    @property
    def blueprint(self) -> str | None:
        """The name of the blueprint that the endpoint belongs to."""
        endpoint = self.endpoint
        if endpoint is None or "." not in endpoint:
            return None
        return endpoint.rpartition(".")[0]

    @property
    def blueprints(self) -> list[str]:
        """The name of that blueprint and the names of its parents, innermost first."""
        name = self.blueprint
        return [] if name is None else _split_blueprint_path(name)

    @property
    def client_gone(self) -> bool:
        """Whether the client has gone, so that nothing reads the response.

        On Carboy's server only; other servers do not say it, and this is False.
        """
        exchange = exchange_of(self)
        if exchange is None or not hasattr(exchange, "client_gone"):
            return False
        if exchange.client_gone():
            return True
        # Only the thread that runs the request may ask the socket.
        return self._runs_here() and exchange.channel is None and exchange.has_left()

    def _runs_here(self) -> bool:
        """Whether this thread runs the request: in its own context, and not on an event loop."""
        ctx = getattr(_cv.get(), "request_ctx", None)
        if ctx is None or ctx._request is not self or ctx.copied:
            return False
        asyncio = sys.modules.get("asyncio")
        return asyncio is None or asyncio._get_running_loop() is None

    def early_hints(self, *links: str) -> bool:
        """Send links that the browser loads while the response is made (103, RFC 8297).

        A link is the URL of a file, such as that of `url_for("static", …)`, or the whole value of
        a Link field. Returns whether they were sent: over HTTP/2 only, on a server that can do it.
        Raises ValueError for a URL whose kind of file is not known.
        """
        return send_early_hints(self, links)

    def _load_form_data(self) -> None:
        RequestBase._load_form_data(self)
        app = active_app()
        if (
            app is not None
            and app.debug
            and self.mimetype != "multipart/form-data"
            and not self.files
        ):
            attach_enctype_error_multidict(self)

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        """Raise a 400 for content that is not JSON, with the reason in debug mode only."""
        try:
            return super().on_json_loading_failed(e)
        except BadRequest as error:
            app = active_app()
            if app is not None and app.debug:
                raise
            raise BadRequest() from error


class Response(ResponseBase):
    """`http.Response`, as HTML by default."""

    default_mimetype: str | None = "text/html"
    json_module: Any = json
    autocorrect_location_header = False

    @property
    def max_cookie_size(self) -> int:  # type: ignore[override]
        """MAX_COOKIE_SIZE in bytes: a larger cookie causes a warning."""
        app = active_app()
        if app is not None:
            return app.config["MAX_COOKIE_SIZE"]  # type: ignore[no-any-return]
        return ResponseBase.max_cookie_size

    def early_hints(self, *links: str) -> bool:
        """Send links at once, as `request.early_hints`, and add them to this response as well.

        Raises RuntimeError outside of a request.
        """
        ctx = getattr(_cv.get(), "request_ctx", None)
        if ctx is None:
            raise RuntimeError(NO_REQUEST)
        for link in links:
            self.headers.add("Link", link_of(link))
        return send_early_hints(ctx.request, links)

    def _async_pieces(self, pieces: AsyncIterable[Any]) -> Iterable[Any]:
        return body_of(pieces)


class DebugFilesKeyError(KeyError, AssertionError):
    """A view asked for a file of a form that cannot send files."""

    def __init__(self, request: Request, key: str) -> None:
        sent = ", ".join(repr(name) for name in request.form.getlist(key))
        self.msg = (
            f"You tried to access the file {key!r}, but it does not exist in this request. The"
            f" mimetype for the request is {request.mimetype!r}, so no file contents were"
            ' transmitted. Give the form enctype="multipart/form-data".'
        )
        if sent:
            self.msg += (
                f" The browser instead transmitted some file names. This was submitted: {sent}."
            )
        super().__init__(self.msg)

    def __str__(self) -> str:
        return self.msg


def attach_enctype_error_multidict(request: Request) -> None:
    """Make `request.files[name]` explain that the form was sent without files."""
    kind = type(request.files)

    class Explaining(kind):  # type: ignore[valid-type,misc]
        def __getitem__(self, key: str) -> Any:
            try:
                return super().__getitem__(key)
            except KeyError as error:
                if key not in request.form:
                    raise
                raise DebugFilesKeyError(request, key).with_traceback(error.__traceback__) from None

    Explaining.__name__ = kind.__name__
    Explaining.__module__ = kind.__module__
    request.files.__class__ = Explaining
