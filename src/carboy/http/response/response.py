"""A response, as a WSGI application and as the answer of the direct lane.

The other modules of this package are its parts: `fields` (header fields as attributes), `body`,
`answer` (what the server is given) and `conditional` (304, 206, 412, 416).

A small page is one bytes object and one or two header fields. That case has a short way
through here: no Headers object is made unless somebody asks for one.

It is longer than the house allows because Werkzeug's Response is one class with that many
attributes; whatever is more than an attribute stands in the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from carboy.dates import dump_age, http_date, parse_age, parse_date
from carboy.http.fields.content_type import checked, content_types, is_json, with_charset
from carboy.http.fields.cookies import dump_cookie
from carboy.http.fields.etag import generate_etag, quote_etag, unquote_etag
from carboy.http.fields.headers import Headers
from carboy.http.fields.policies import COEP, COOP
from carboy.http.fields.syntax import dump_header, parse_set_header
from carboy.http.properties import header_property, lazy
from carboy.http.request.body import LazyJSON, loads_of_a_client
from carboy.http.request.request import Request
from carboy.http.response import fields
from carboy.http.response.answer import finish_fields, full_answer, hooked_answer
from carboy.http.response.body import ResponseStream
from carboy.http.response.conditional import make_conditional, make_partial, narrow, wants_part
from carboy.http.status import EMPTY, cleaned, is_empty
from carboy.http.wsgi import ClosingIterator, get_current_url, run_wsgi_app

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from http import HTTPStatus

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from carboy.gateway.interface import Answer, Exchange

Body = Iterable[bytes] | bytes | Iterable[str] | str | None
# Overriding one of these in a subclass means the answer has to be made with it.
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
    """The header fields, made when first asked for."""
    return Headers._from_checked(response._first_fields())


class Response:
    """One HTTP response, itself a WSGI application.

    `response` is text, bytes or an iterable of either; `status` a code or text such as
    "404 NOT FOUND"; `mimetype` gets a charset if it is text, `content_type` is taken as it
    is. `direct_passthrough` hands the iterable to the server untouched.
    """

    default_status = 200
    default_mimetype: str | None = "text/plain"
    max_cookie_size = 4093
    implicit_sequence_conversion = True
    autocorrect_location_header = False
    automatically_set_content_length = True
    json_module: Any = LazyJSON

    direct_passthrough = False
    response: Any
    _status = "200 OK"
    _status_code = 200
    _on_close: list[Callable[[], Any]] | tuple[()] = ()
    # What the headers are made of while nobody has asked for them.
    _content_type: str | None = None
    _length: int | None = None
    _hooked: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._look_for_hooks()

    @classmethod
    def _look_for_hooks(cls) -> None:
        """Find out whether this class has methods of its own that make the answer.

        Called again for a class that may have been patched, and for all its subclasses.
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
            self._status, self._status_code = cleaned(status)
        if direct_passthrough:
            self.direct_passthrough = True
        kind = response.__class__
        if (kind is str or kind is bytes) and not self._hooked:
            # set_data, written out: this is every page.
            octets = response.encode() if kind is str else response  # type: ignore[union-attr]
            self.response = [octets]
            if self.automatically_set_content_length:
                if headers is None:
                    self._length = len(octets)  # type: ignore[arg-type]
                else:
                    self.headers["Content-Length"] = str(len(octets))  # type: ignore[arg-type]
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
        """Werkzeug's attributes, and the caller's own: a cached response is read by either."""
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
        """The status as a number; assigning it sets the phrase."""
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
        self._status, self._status_code = cleaned(value)

    # the body

    def get_data(self, as_text: bool = False) -> bytes | str:
        """The whole body as bytes, or as text from UTF-8; reads an iterable to its end."""
        self._ensure_sequence()
        data = b"".join(self.iter_encoded())
        return data.decode() if as_text else data

    def set_data(self, value: bytes | str) -> None:
        """Replace the body; Content-Length follows."""
        if isinstance(value, str):
            value = value.encode()
        self.response = [value]
        if self.automatically_set_content_length:
            if "headers" in self.__dict__:
                self.headers["Content-Length"] = str(len(value))
            else:
                self._length = len(value)

    data = property(get_data, set_data, doc="The whole body as bytes; text can be assigned.")

    @property
    def is_streamed(self) -> bool:
        """Whether the body has no length that can be known without reading it."""
        try:
            len(self.response)
        except (TypeError, AttributeError):
            return True
        return False

    @property
    def is_sequence(self) -> bool:
        """Whether the body is a list or tuple."""
        return isinstance(self.response, list | tuple)

    def calculate_content_length(self) -> int | None:
        """Octets in the body; None where that cannot be known."""
        try:
            self._ensure_sequence()
        except RuntimeError:
            return None
        return sum(len(chunk) for chunk in self.iter_encoded())

    def _ensure_sequence(self, mutable: bool = False) -> None:
        if self.is_sequence:
            if mutable and not isinstance(self.response, list):
                self.response = list(self.response)
            return
        if self.direct_passthrough:
            raise RuntimeError(
                "Attempted implicit sequence conversion in direct passthrough mode: the server"
                " reads the body. Set direct_passthrough to False first."
            )
        if not self.implicit_sequence_conversion:
            raise RuntimeError(
                "The response required the iterable to be a sequence, and"
                " implicit_sequence_conversion is off. Call make_sequence() first."
            )
        self.make_sequence()

    def make_sequence(self) -> None:
        """Read the body into a list; the iterable's close is called when the response's is."""
        if self.is_sequence:
            return
        close = getattr(self.response, "close", None)
        self.response = list(self.iter_encoded())
        if close is not None:
            self.call_on_close(close)

    def iter_encoded(self) -> Iterator[bytes]:
        """The pieces of the body, text as UTF-8."""
        # The body is taken now and not when the first piece is: it may be replaced till then.
        return _encoded(self.response)

    def freeze(self) -> None:
        """Make the response one that can be pickled and cached: body in a list, length, ETag."""
        self.response = list(self.iter_encoded())
        self.headers["Content-Length"] = str(sum(map(len, self.response)))
        self.add_etag()

    @lazy
    def stream(self) -> ResponseStream:
        """The response as a file to write to."""
        return ResponseStream(self)

    @property
    def is_json(self) -> bool:
        """Whether Content-Type says JSON."""
        return is_json(self.mimetype)

    @property
    def json(self) -> Any:
        """The body as JSON; None if Content-Type does not say so."""
        return self.get_json()

    def get_json(self, force: bool = False, silent: bool = False) -> Any:
        """The body as JSON, None unless Content-Type says so or `force`. ValueError for what
        is no JSON, None with `silent`."""
        if not (force or self.is_json):
            return None
        try:
            return loads_of_a_client(self.json_module, self.get_data())
        except ValueError:
            if not silent:
                raise
            return None

    # life

    def call_on_close(self, func: Callable[[], Any]) -> Callable[[], Any]:
        """Call `func` when the response is finished; usable as a decorator."""
        if not self._on_close:
            self._on_close = []
        cast("list[Any]", self._on_close).append(func)
        return func

    def close(self) -> None:
        """Close the body and call what was registered with `call_on_close`."""
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

    # to the server

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """The header fields as they are sent: a copy with absolute or encoded locations and
        the length, without what the status does not allow."""
        headers = Headers(self.headers)
        finish_fields(self, headers, lambda: get_current_url(environ, strip_querystring=True))
        return headers

    def get_app_iter(self, environ: WSGIEnvironment) -> Iterable[bytes]:
        """The body as it is sent: empty for HEAD and where the status has none."""
        if environ["REQUEST_METHOD"] == "HEAD" or is_empty(self._status_code):
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
            plain = self._plain_fields()
            if plain is not None:
                start_response(self._status, plain)
                return self.response  # type: ignore[no-any-return]
        body, status, headers = self.get_wsgi_response(environ)
        start_response(status, headers)
        return body

    def _plain_fields(self) -> list[tuple[str, str]] | None:
        """The header fields, if the response is one piece of bytes and needs nothing done."""
        body = self.response
        if (
            self._on_close
            or body.__class__ is not list
            or len(body) != 1
            or body[0].__class__ is not bytes
            or (self._status_code != 200 and not self._may_have_content())
        ):
            return None
        kept = self.__dict__
        if "headers" not in kept:
            if self._length is None:
                return None
            if self._content_type is None:
                return [("Content-Length", str(self._length))]
            return [
                ("Content-Type", self._content_type),
                ("Content-Length", str(self._length)),
            ]
        headers = kept["headers"]
        if headers.__class__ is not Headers:
            return None  # a mapping or list that somebody assigned: get_wsgi_headers reads it
        found: list[tuple[str, str]] = list(headers._list)
        counted = False
        for name, _ in found:
            if name in _HARMLESS:
                continue
            name = name.lower()
            if name == "content-length":
                counted = True
            elif name in _LOCATIONS:
                return None
        return found if counted else None

    def _may_have_content(self) -> bool:
        return self._status_code >= 200 and self._status_code not in EMPTY

    def answer(self, origin: Request | Exchange) -> Answer:
        """The response for the direct lane: status, header fields, body, and what to call
        when it has been sent. `origin` is the request or its exchange."""
        if self._hooked:
            return hooked_answer(self, origin)
        method = origin.method if isinstance(origin, Request) else origin.head.method
        if method != "HEAD":
            plain = self._plain_fields()
            if plain is not None:
                return self._status, plain, self.response[0], None
        return full_answer(self, origin, method)

    @classmethod
    def force_type(cls, response: Any, environ: WSGIEnvironment | None = None) -> Self:
        """A response or any WSGI application as one of this class.

        A response is changed in place; an application needs the environ to be called with.
        """
        if not isinstance(response, Response):
            if environ is None:
                raise TypeError(
                    "cannot convert WSGI application into response objects: pass its environ as"
                    " the second argument."
                )
            response = Response(*run_wsgi_app(response, environ))
        response.__class__ = cls
        return cast("Self", response)

    @classmethod
    def from_app(
        cls, app: WSGIApplication, environ: WSGIEnvironment, buffered: bool = False
    ) -> Self:
        """What a WSGI application answers, as a response."""
        return cls(*run_wsgi_app(app, environ, buffered))

    # conditional requests

    def make_conditional(
        self,
        request_or_environ: WSGIEnvironment | Request,
        accept_ranges: bool | str = False,
        complete_length: int | None = None,
    ) -> Self:
        """Answer the request's conditions by ETag and Last-Modified: 304, 412, or 206 for a
        range of `complete_length` octets if `accept_ranges`. RequestedRangeNotSatisfiable."""
        make_conditional(self, request_or_environ, accept_ranges, complete_length)
        return self

    def _is_range_request_processable(self, environ: WSGIEnvironment) -> bool:
        """Whether a part may be sent; subclasses say no where they cannot cut."""
        return wants_part(self, environ)

    def _process_range_request(
        self, environ: WSGIEnvironment, complete_length: int | None, accept_ranges: bool | str
    ) -> bool:
        """Become the part that is asked for; False if the whole is to be sent."""
        return make_partial(self, environ, complete_length, accept_ranges)

    def _wrap_range_response(self, start: int, length: int) -> None:
        """Leave only a part of the body."""
        narrow(self, start, length)

    def add_etag(self, overwrite: bool = False, weak: bool = False) -> None:
        """Set an ETag made of the body, unless there is one."""
        if overwrite or "ETag" not in self.headers:
            self.set_etag(generate_etag(cast("bytes", self.get_data())), weak)

    def set_etag(self, etag: str, weak: bool = False) -> None:
        """Set the ETag."""
        self.headers["ETag"] = quote_etag(etag, weak)

    def get_etag(self) -> tuple[str, bool] | tuple[None, None]:
        """The ETag and whether it is weak."""
        return unquote_etag(self.headers.get("ETag"))

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
        cookie = dump_cookie(
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
        """Let a cookie expire; path and domain have to be those it was set with."""
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
    cross_origin_opener_policy = header_property(
        "Cross-Origin-Opener-Policy", COOP.UNSAFE_NONE, COOP, lambda policy: policy.value
    )
    cross_origin_embedder_policy = header_property(
        "Cross-Origin-Embedder-Policy", COEP.UNSAFE_NONE, COEP, lambda policy: policy.value
    )
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

# Names that no rule of `finish_fields` looks for: spared the comparison without case.
_HARMLESS = frozenset({"Content-Type", "Set-Cookie", "Vary", "Cache-Control", "Date", "ETag"})
_LOCATIONS = frozenset({"location", "content-location"})


def _encoded(pieces: Iterable[bytes | str]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece.encode() if isinstance(piece, str) else piece
