"""A response, as a WSGI application and as the answer of the direct lane.

The other modules of this package are its parts: `fields` (header fields as attributes), `body`,
`answer` (what the server is given) and `conditional` (304, 206, 412, 416). Their functions that
take a response are assigned below as its methods.

Most responses have a body of one bytes object and one or two header fields. Such a response makes
no Headers object until its headers are read.
"""

from __future__ import annotations

import json as _json
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from carboy import http
from carboy.dates import dump_age, http_date, parse_age, parse_date
from carboy.http.fields.content_type import checked, content_types, is_json, with_charset
from carboy.http.fields.headers import Headers
from carboy.http.fields.syntax import dump_header, parse_set_header
from carboy.http.properties import header_property, lazy
from carboy.http.request.request import Request
from carboy.http.response import body, conditional, fields
from carboy.http.response.answer import finish_fields, full_answer, hooked_answer, plain_fields
from carboy.http.response.body import ResponseStream
from carboy.http.status import has_no_content, parse_status
from carboy.http.wsgi import ClosingIterator, get_current_url, run_wsgi_app

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from http import HTTPStatus

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from carboy.gateway.interface import Answer, Exchange

Body = Iterable[bytes] | bytes | Iterable[str] | str | AsyncIterable[bytes | str] | None
# If a subclass overrides one of these, its answer has to be made by calling it.
_HOOKS = (
    "close",
    "get_app_iter",
    "get_wsgi_headers",
    "get_wsgi_response",
    "iter_encoded",
    "set_data",
)


_UNMADE_HEADERS = ("_content_type", "_length")


def _default_headers(response: Response) -> Headers:
    """The header fields, made when they are first read."""
    return Headers._from_checked(response._first_fields())


class Response:
    """One HTTP response, itself a WSGI application.

    `response` is text, bytes or an iterable of either; `status` is a code or text such as
    "404 NOT FOUND". A text `mimetype` gets a charset, `content_type` is used as it is. With
    `direct_passthrough` the server is given the iterable unchanged.
    """

    default_status = 200
    default_mimetype: str | None = "text/plain"
    max_cookie_size = 4093
    implicit_sequence_conversion = True
    autocorrect_location_header = False
    automatically_set_content_length = True
    json_module: Any = _json

    direct_passthrough = False
    response: Any
    _status = "200 OK"
    _status_code = 200
    _on_close: list[Callable[[], Any]] | tuple[()] = ()
    # The values of the first header fields until `headers` is made.
    _content_type: str | None = None
    _length: int | None = None
    _hooked: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._look_for_hooks()

    @classmethod
    def _look_for_hooks(cls) -> None:
        """Find out whether this class and its subclasses override how the answer is made.

        Called again when a class may have been patched.
        """
        cls._hooked = any(getattr(cls, name) is not own for name, own in _own_hooks.items())
        for each in cls.__subclasses__():
            each._look_for_hooks()

    def __init__(
        self,
        response: Body = None,
        status: int | str | HTTPStatus | None = None,
        headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        mimetype: str | None = None,
        content_type: str | None = None,
        direct_passthrough: bool = False,
    ) -> None:
        if headers is None and content_type is None:
            if mimetype is None:
                mimetype = self.default_mimetype
            if mimetype is not None:
                self._content_type = content_types.get(mimetype) or with_charset(mimetype)
        else:
            self._set_headers(headers, mimetype, content_type)
        if status is None:
            status = self.default_status
        if status != 200:
            self._status, self._status_code = parse_status(status)
        if direct_passthrough:
            self.direct_passthrough = True
        kind = response.__class__
        if (kind is str or kind is bytes) and not self._hooked:
            # A copy of set_data, because nearly every response comes through here.
            data = response.encode() if kind is str else response  # type: ignore[union-attr]
            self.response = [data]
            if self.automatically_set_content_length:
                if headers is None:
                    self._length = len(data)  # type: ignore[arg-type]
                else:
                    self.headers["Content-Length"] = str(len(data))  # type: ignore[arg-type]
        elif response is None:
            self.response = []
        elif isinstance(response, str | bytes | bytearray):
            self.set_data(response)
        else:
            self.response = response

    def _set_headers(
        self,
        headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None,
        mimetype: str | None,
        content_type: str | None,
    ) -> None:
        if headers is not None:
            self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        if content_type is None:
            if mimetype is None and "Content-Type" not in self.headers:
                mimetype = self.default_mimetype
            if mimetype is None:
                return
            content_type = content_types.get(mimetype) or with_charset(mimetype)
        if headers is None:
            self._content_type = checked(content_type)
        else:
            self.headers["Content-Type"] = content_type

    def _first_fields(self) -> list[tuple[str, str]]:
        found = []
        if self._content_type is not None:
            found.append(("Content-Type", self._content_type))
        if self._length is not None:
            found.append(("Content-Length", str(self._length)))
        return found

    if TYPE_CHECKING:
        headers: Headers
    else:
        headers = lazy(_default_headers)

    def __getstate__(self) -> dict[str, Any]:
        """The attributes that Werkzeug pickles as well, so that either can read a cached response.

        Attributes that the application has added are included.
        """
        own = {name: value for name, value in vars(self).items() if name not in _UNMADE_HEADERS}
        return {
            **own,
            "headers": self.headers,
            "_status": self._status,
            "_status_code": self._status_code,
            "direct_passthrough": self.direct_passthrough,
            "_on_close": self._on_close or [],
        }

    # status

    @property
    def status_code(self) -> int:
        """The status as a number. Assigning it sets the phrase as well."""
        return self._status_code

    @status_code.setter
    def status_code(self, code: int) -> None:
        self.status = code

    @property
    def status(self) -> str:
        """The status as text, "404 NOT FOUND"; text or a number can be assigned."""
        return self._status

    @status.setter
    def status(self, value: str | int | HTTPStatus) -> None:
        self._status, self._status_code = parse_status(value)

    # the body

    get_data = body.get_data
    set_data = body.set_data
    data = property(get_data, set_data, doc="The whole body as bytes; text can be assigned.")
    calculate_content_length = body.calculate_content_length
    make_sequence = body.make_sequence
    _ensure_sequence = body.ensure_sequence
    iter_encoded = body.iter_encoded
    freeze = body.freeze
    get_json = body.get_json

    def _async_pieces(self, pieces: AsyncIterable[Any]) -> Iterable[Any]:
        """The pieces of an async iterable, for a thread that waits for them."""
        raise TypeError(
            "The body of this response is an async iterator. Use the Response of an application,"
            " which has an event loop for it."
        )

    @property
    def is_streamed(self) -> bool:
        """Whether the body has no length that is known without reading it."""
        try:
            len(self.response)
        except (TypeError, AttributeError):
            return True
        return False

    @property
    def is_sequence(self) -> bool:
        """Whether the body is a list or tuple."""
        return isinstance(self.response, list | tuple)

    @lazy
    def stream(self) -> ResponseStream:
        """The response as a file to write to."""
        return ResponseStream(self)

    @property
    def is_json(self) -> bool:
        """Whether Content-Type is JSON."""
        return is_json(self.mimetype)

    @property
    def json(self) -> Any:
        """The body as JSON; None if Content-Type is not JSON."""
        return self.get_json()

    # closing

    def call_on_close(self, func: Callable[[], Any]) -> Callable[[], Any]:
        """Call `func` when the response is closed. Can be used as a decorator."""
        callbacks: Any = self._on_close
        if not callbacks:
            callbacks = self._on_close = []
        callbacks.append(func)
        return func

    def close(self) -> None:
        """Close the body and call the functions registered with `call_on_close`."""
        close = getattr(self.response, "close", None)
        if close is not None:
            close()
        for func in self._on_close:
            func()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self.is_sequence:
            body = f"{sum(map(len, self.iter_encoded()))} bytes"
        else:
            body = "streamed" if self.is_streamed else "likely-streamed"
        return f"<{type(self).__name__} {body} [{self.status}]>"

    # what the server is given

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """A copy of the header fields as they are sent.

        Locations are encoded or absolute, the length is added, and fields that the status does
        not allow are removed.
        """
        headers = Headers(self.headers)
        finish_fields(self, headers, lambda: get_current_url(environ, strip_querystring=True))
        return headers

    def get_app_iter(self, environ: WSGIEnvironment) -> Iterable[bytes]:
        """The body as it is sent: empty for HEAD and for a status without content."""
        if environ["REQUEST_METHOD"] == "HEAD" or has_no_content(self._status_code):
            return ClosingIterator((), self.close)
        if self.direct_passthrough:
            return self.response  # type: ignore[no-any-return]
        return ClosingIterator(self.iter_encoded(), self.close)

    def get_wsgi_response(
        self, environ: WSGIEnvironment
    ) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """Body, status and header fields for `environ`."""
        headers = self.get_wsgi_headers(environ)
        return self.get_app_iter(environ), self.status, headers.to_wsgi_list()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._hooked and environ["REQUEST_METHOD"] != "HEAD":
            plain = plain_fields(self)
            if plain is not None:
                start_response(self._status, plain)
                return self.response  # type: ignore[no-any-return]
        body, status, headers = self.get_wsgi_response(environ)
        start_response(status, headers)
        return body

    def answer(self, origin: Request | Exchange) -> Answer:
        """The response for the direct lane; `origin` is the request or its exchange.

        The tuple has the status, the header fields, the body, and a function or None to call
        when the response has been sent.
        """
        if self._hooked:
            return hooked_answer(self, origin)
        method = origin.method if isinstance(origin, Request) else origin.head.method
        if method != "HEAD":
            plain = plain_fields(self)
            if plain is not None:
                return self._status, plain, self.response[0], None
        return full_answer(self, origin, method)

    @classmethod
    def force_type(cls, response: Any, environ: WSGIEnvironment | None = None) -> Self:
        """A response or any WSGI application as a response of this class.

        A response is changed in place. An application is called with the environ.
        """
        if not isinstance(response, Response):
            if environ is None:
                raise TypeError(
                    "cannot convert WSGI application into response objects: pass its environ as"
                    " the second argument."
                )
            response = Response(*run_wsgi_app(response, environ))
        response.__class__ = cls
        return response  # type: ignore[no-any-return]

    @classmethod
    def from_app(
        cls, app: WSGIApplication, environ: WSGIEnvironment, buffered: bool = False
    ) -> Self:
        """The answer of a WSGI application as a response."""
        return cls(*run_wsgi_app(app, environ, buffered))

    # conditional requests

    make_conditional = conditional.make_conditional
    _is_range_request_processable = conditional.wants_part
    _process_range_request = conditional.make_partial
    _wrap_range_response = conditional.narrow

    def add_etag(self, overwrite: bool = False, weak: bool = False) -> None:
        """Set an ETag computed from the body, unless there is one already."""
        if overwrite or "ETag" not in self.headers:
            data: Any = self.get_data()
            self.set_etag(http.generate_etag(data), weak)

    def set_etag(self, etag: str, weak: bool = False) -> None:
        """Set the ETag."""
        self.headers["ETag"] = http.quote_etag(etag, weak)

    def get_etag(self) -> tuple[str, bool] | tuple[None, None]:
        """The ETag and whether it is weak."""
        return http.unquote_etag(self.headers.get("ETag"))

    # cookies

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: timedelta | int | None = None,
        expires: str | datetime | int | float | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = None,
        partitioned: bool = False,
    ) -> None:
        """Add a Set-Cookie field (RFC 6265)."""
        cookie = http.dump_cookie(
            key,
            value=value,
            max_age=max_age,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            max_size=self.max_cookie_size,
            samesite=samesite,
            partitioned=partitioned,
        )
        self.headers.add("Set-Cookie", cookie)

    def delete_cookie(
        self,
        key: str,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = None,
        partitioned: bool = False,
    ) -> None:
        """Delete a cookie; path and domain have to be those it was set with."""
        self.set_cookie(
            key,
            expires=0,
            max_age=0,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )

    # header fields

    location = header_property[str]("Location")
    content_type = header_property[str]("Content-Type")
    content_length = header_property("Content-Length", None, int, str)
    content_location = header_property[str]("Content-Location")
    content_encoding = header_property[str]("Content-Encoding")
    content_md5 = header_property[str]("Content-MD5")
    accept_ranges = header_property[str]("Accept-Ranges")
    age = header_property("Age", None, parse_age, dump_age)  # type: ignore[arg-type]
    date = header_property("Date", None, parse_date, http_date)
    expires = header_property("Expires", None, parse_date, http_date)
    last_modified = header_property("Last-Modified", None, parse_date, http_date)
    cross_origin_opener_policy = fields.choice_property("Cross-Origin-Opener-Policy", "COOP")
    cross_origin_embedder_policy = fields.choice_property("Cross-Origin-Embedder-Policy", "COEP")
    access_control_allow_headers = header_property(
        "Access-Control-Allow-Headers", None, parse_set_header, dump_header
    )
    access_control_allow_methods = header_property(
        "Access-Control-Allow-Methods", None, parse_set_header, dump_header
    )
    access_control_expose_headers = header_property(
        "Access-Control-Expose-Headers", None, parse_set_header, dump_header
    )
    access_control_allow_origin = header_property[str]("Access-Control-Allow-Origin")
    access_control_max_age = header_property("Access-Control-Max-Age", None, int, str)
    access_control_allow_credentials = property(
        fields.get_allow_credentials, fields.put_allow_credentials
    )
    vary = fields.set_property("Vary", "The request fields the response depends on.")
    content_language = fields.set_property("Content-Language", "The languages of the content.")
    allow = fields.set_property("Allow", "The methods the resource allows.")
    content_security_policy = fields.policy_property(
        "Content-Security-Policy", "What the page may load and do."
    )
    content_security_policy_report_only = fields.policy_property(
        "Content-Security-Policy-Report-Only", "What is reported but not forbidden."
    )
    cache_control = property(fields.get_cache_control)
    content_range = property(fields.get_content_range, fields.put_content_range)
    retry_after = property(fields.get_retry_after, fields.put_retry_after)
    www_authenticate = property(
        fields.get_www_authenticate,
        fields.put_www_authenticate,
        fields.delete_www_authenticate,
    )
    mimetype = property(fields.get_mimetype, fields.put_mimetype)
    mimetype_params = property(fields.get_mimetype_params)


_own_hooks = {name: getattr(Response, name) for name in _HOOKS}
