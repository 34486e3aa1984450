"""A request, made from a WSGI environ or from an exchange of the direct lane.

Every attribute is computed when it is first used, by a function in `url`, `fields` or `body`.
What differs between the two origins is in `environ` and `exchange`. Making a Request costs next
to nothing.
"""

from __future__ import annotations

import json as _json
from collections.abc import Callable, Iterable
from functools import update_wrapper
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

from carboy import http
from carboy.dates import parse_date
from carboy.http.containers.immutable import ImmutableList
from carboy.http.containers.multidict import ImmutableMultiDict
from carboy.http.exceptions import HTTPException
from carboy.http.fields.content_type import is_json
from carboy.http.fields.syntax import parse_set_header
from carboy.http.fields.user_agent import UserAgent
from carboy.http.properties import environ_property, header_property, lazy
from carboy.http.request import body, fields
from carboy.http.request import environ as of_environ
from carboy.http.request import exchange as of_exchange
from carboy.http.request import url as url_parts

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

    from carboy.gateway.interface import Exchange
    from carboy.http.forms.parser import FormDataParser

T = TypeVar("T")


class _OwnFormParser:
    """FormDataParser as an attribute of Request. Its module loads when the attribute is read."""

    def __get__(self, request: Request | None, kind: type[Request]) -> type[FormDataParser]:
        Request.form_data_parser_class = http.FormDataParser
        return http.FormDataParser


def _fact(environ_reader: Callable[[Any], T], exchange_reader: Callable[[Any], T]) -> lazy[T]:
    """An attribute that is read from the origin of the request."""

    def fact(request: Request) -> T:
        exchange = request._exchange
        return environ_reader(request.environ) if exchange is None else exchange_reader(exchange)

    fact.__doc__ = environ_reader.__doc__
    return lazy(fact)


def _environ(request: Request) -> WSGIEnvironment:
    """The WSGI environ; on the direct lane it is built at the first access."""
    if request._exchange is None:
        raise AttributeError("This request was made from its parts and has no environ.")
    environ = request._exchange.environ()
    environ.setdefault("werkzeug.request", request)
    return environ


def _stream(request: Request) -> IO[bytes]:
    """The body, which can be read once. RequestEntityTooLarge above `max_content_length`."""
    if request.shallow:
        raise RuntimeError(
            "This request was created with 'shallow=True': its body belongs to another"
            " application. Create it with shallow=False to read the body."
        )
    limit = request.max_content_length
    if request._exchange is None:
        return of_environ.stream(request.environ, limit)
    return of_exchange.stream(request._exchange, limit)


class Request:
    """One HTTP request, for any WSGI application and for the direct lane.

    `Request(environ)` stores itself in the environ as "werkzeug.request" unless
    `populate_request` is False. A `shallow` request refuses to read the body. Class attributes set
    the limits and the types of parsed values.
    """

    # Bytes of the body; bytes of a multipart form kept in memory; parts of a multipart form.
    max_content_length: int | None = None
    max_form_memory_size: int | None = 500_000
    max_form_parts: int | None = 1000
    trusted_hosts: list[str] | None = None

    parameter_storage_class: type[Any] = ImmutableMultiDict
    dict_storage_class: type[Any] = ImmutableMultiDict
    list_storage_class: type[Any] = ImmutableList
    user_agent_class: type[Any] = UserAgent
    form_data_parser_class: type[FormDataParser] = _OwnFormParser()  # type: ignore[assignment]
    json_module: Any = _json

    shallow = False
    _exchange: Exchange | None = None
    _cached_json: tuple[Any, Any] = (..., ...)

    def __init__(
        self, environ: WSGIEnvironment, populate_request: bool = True, shallow: bool = False
    ) -> None:
        self.environ = environ
        self.shallow = shallow
        if populate_request and not shallow:
            environ["werkzeug.request"] = self

    @classmethod
    def from_exchange(cls, exchange: Exchange) -> Self:
        """A request of the direct lane."""
        request = cls.__new__(cls)
        request._exchange = exchange
        return request

    @classmethod
    def from_values(cls, *args: Any, **kwargs: Any) -> Self:
        """A request for tests, made from the arguments of `EnvironBuilder`."""
        from carboy.http.request.environ_builder import EnvironBuilder

        builder = EnvironBuilder(*args, **kwargs)
        try:
            return cls(builder.get_environ())
        finally:
            builder.close()

    @classmethod
    def application(cls, f: Callable[..., WSGIApplication]) -> WSGIApplication:
        """Make a WSGI application of a function or method that takes a request.

        The request is its last argument. A raised HTTPException becomes the response. The request
        is closed afterwards.
        """

        def application(*args: Any) -> Iterable[bytes]:
            request = cls(args[-2])
            with request:
                try:
                    response = f(*args[:-2], request)
                except HTTPException as error:
                    response = error.get_response(args[-2])
                return response(*args[-2:])

        return update_wrapper(application, f)

    # read from the origin

    if not TYPE_CHECKING:
        environ = lazy(_environ)
    method = _fact(of_environ.method, of_exchange.method)
    scheme = _fact(of_environ.scheme, of_exchange.scheme)
    server = _fact(of_environ.server, of_exchange.server)
    root_path = _fact(of_environ.root_path, of_exchange.root_path)
    path = _fact(of_environ.path, of_exchange.path)
    query_string = _fact(of_environ.query_string, of_exchange.query_string)
    remote_addr = _fact(of_environ.remote_addr, of_exchange.remote_addr)
    headers = _fact(of_environ.headers, of_exchange.headers)
    host_header = _fact(of_environ.host_header, of_exchange.host_header)
    content_length = _fact(of_environ.content_length, of_exchange.content_length)
    input_stream = _fact(of_environ.raw_stream, of_exchange.raw_stream)
    remote_user = environ_property[str]("REMOTE_USER")
    is_multithread = environ_property[bool]("wsgi.multithread")
    is_multiprocess = environ_property[bool]("wsgi.multiprocess")
    is_run_once = environ_property[bool]("wsgi.run_once")

    def _field(self, name: str) -> str | None:
        """A header field. On the direct lane only this field is decoded."""
        if self._exchange is None or "headers" in self.__dict__:
            return self.headers.get(name)  # type: ignore[no-any-return]
        return of_exchange.field(self._exchange, name)

    # the URL

    args = lazy(url_parts.args)
    host = lazy(url_parts.host)
    host_url = lazy(url_parts.host_url)
    root_url = lazy(url_parts.root_url)
    url_root = root_url
    base_url = lazy(url_parts.base_url)
    url = lazy(url_parts.url)
    full_path = lazy(url_parts.full_path)
    access_route = lazy(url_parts.access_route)

    @property
    def script_root(self) -> str:
        """`root_path` without a slash at its end."""
        return self.root_path.rstrip("/")

    client_certificate = lazy(fields.client_certificate)
    proxy_protocol = _fact(of_environ.proxy_protocol, of_exchange.proxy_protocol)

    # its names in logs and in other services

    id = _fact(of_environ.request_id, of_exchange.request_id)
    trace = _fact(of_environ.trace, of_exchange.trace)

    @lazy
    def trace_id(self) -> str:
        """The id of the trace: 32 hexadecimal digits."""
        return self.trace.trace_id

    @lazy
    def span_id(self) -> str:
        """The id of this request in the trace: 16 hexadecimal digits."""
        return self.trace.span_id

    @property
    def is_secure(self) -> bool:
        """Whether the request came over TLS."""
        return self.scheme in {"https", "wss"}

    # header fields

    content_type = header_property[str]("Content-Type", read_only=True)
    content_encoding = header_property[str]("Content-Encoding", read_only=True)
    content_md5 = header_property[str]("Content-MD5", read_only=True)
    referrer = header_property[str]("Referer", read_only=True)
    origin = header_property[str]("Origin", read_only=True)
    date = header_property("Date", None, parse_date, read_only=True)
    max_forwards = header_property("Max-Forwards", None, int, read_only=True)
    access_control_request_headers = header_property(
        "Access-Control-Request-Headers", load_func=parse_set_header, read_only=True
    )
    access_control_request_method = header_property[str](
        "Access-Control-Request-Method", read_only=True
    )
    cookies = lazy(fields.cookies)
    user_agent = lazy(fields.user_agent)
    authorization = lazy(fields.authorization)
    accept_mimetypes = lazy(fields.accept_mimetypes)
    accept_charsets = lazy(fields.accept_charsets)
    accept_encodings = lazy(fields.accept_encodings)
    accept_languages = lazy(fields.accept_languages)
    cache_control = lazy(fields.cache_control)
    pragma = lazy(fields.pragma)
    if_match = lazy(fields.if_match)
    if_none_match = lazy(fields.if_none_match)
    if_modified_since = lazy(fields.if_modified_since)
    if_unmodified_since = lazy(fields.if_unmodified_since)
    if_range = lazy(fields.if_range)
    range = lazy(fields.range_)
    _parsed_content_type = lazy(fields.parsed_content_type)

    @property
    def mimetype(self) -> str:
        """The media type of the body in lower case, without parameters."""
        return self._parsed_content_type[0]

    @property
    def mimetype_params(self) -> dict[str, str]:
        """The parameters of the media type."""
        return self._parsed_content_type[1]

    @property
    def is_json(self) -> bool:
        """Whether Content-Type is JSON: application/json or application/*+json."""
        return is_json(self.mimetype)

    # the body

    stream = lazy(_stream)
    form = lazy(body.form)
    files = lazy(body.files)
    values = lazy(body.values)

    @lazy
    def data(self) -> bytes:
        """The body as bytes; empty if the body is a form, which is parsed instead."""
        return self.get_data(parse_form_data=True)  # type: ignore[return-value]

    @property
    def want_form_data_parsed(self) -> bool:
        """Whether the body may be a form, because it has a Content-Type."""
        return bool(self._field("Content-Type"))

    def make_form_data_parser(self) -> FormDataParser:
        """The parser for the body, with the limits of this request."""
        return self.form_data_parser_class(
            stream_factory=self._get_file_stream,
            max_form_memory_size=self.max_form_memory_size,
            max_content_length=self.max_content_length,
            max_form_parts=self.max_form_parts,
            cls=self.parameter_storage_class,
        )

    def _parses_forms_normally(self) -> bool:
        """Whether no step of parsing forms is overridden in the class."""
        return body.form_parsing(self.__class__) == _own_form_parsing

    _load_form_data = body.load_form_data

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        """The file that an uploaded file is written to. Subclasses can return another one."""
        return http.default_stream_factory(
            total_content_length, content_type, filename, content_length
        )

    get_data = body.get_data
    get_json = body.get_json
    on_json_loading_failed = body.on_json_loading_failed

    @property
    def json(self) -> Any:
        """The body as JSON. 415 if Content-Type is not JSON, 400 if the body is not valid JSON."""
        return self.get_json()

    # closing

    close = body.close

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
        try:
            described = f"{self.url!r} [{self.method}]"
        except Exception as error:
            described = f"(its URL cannot be shown: {error})"
        return f"<{type(self).__name__} {described}>"


_own_form_parsing = body.form_parsing(Request)
