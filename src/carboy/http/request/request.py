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
from typing import IO, TYPE_CHECKING, Any, Self

from carboy.dates import parse_date
from carboy.http.containers.immutable import ImmutableList
from carboy.http.containers.multidict import ImmutableMultiDict
from carboy.http.exceptions import HTTPException
from carboy.http.fields.headers import Headers
from carboy.http.fields.syntax import parse_set_header
from carboy.http.fields.user_agent import UserAgent
from carboy.http.forms.parser import FormDataParser, default_stream_factory
from carboy.http.properties import environ_property, header_property, lazy
from carboy.http.request import body, fields
from carboy.http.request import environ as environ_origin
from carboy.http.request import exchange as exchange_origin
from carboy.http.request import url as url_parts

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

    from carboy.gateway.interface import Exchange


def _fact(name: str) -> Callable[[Any], Any]:
    """The function that finds a fact of a request at its origin, whichever that is."""
    of_environ = getattr(environ_origin, name)
    of_exchange = getattr(exchange_origin, name)

    def fact(request: Request) -> Any:
        exchange = request._exchange
        if exchange is None:
            return of_environ(request.environ)
        return of_exchange(exchange)

    fact.__name__ = name
    fact.__doc__ = of_environ.__doc__
    return fact


def _environ(request: Request) -> WSGIEnvironment:
    """The WSGI environ; on the direct lane it is built when first asked for."""
    if request._exchange is None:
        raise AttributeError("environ")
    environ = request._exchange.environ()
    environ.setdefault("werkzeug.request", request)
    return environ


def _stream(request: Request) -> IO[bytes]:
    """The body, to be read once. RequestEntityTooLarge if it is over `max_content_length`."""
    if request.shallow:
        raise RuntimeError(
            "This request was created with 'shallow=True': its body belongs to another"
            " application. Create it with shallow=False to read the body."
        )
    limit = request.max_content_length
    if request._exchange is None:
        return environ_origin.stream(request.environ, limit)
    return exchange_origin.stream(request._exchange, limit)


class Request:
    """One HTTP request, for any WSGI application and for the direct lane.

    `Request(environ)` puts itself into the environ as "werkzeug.request" unless
    `populate_request` is off; a `shallow` one refuses to read the body. Class attributes
    set limits and the types of what is parsed.
    """

    # limits of the body: octets in all, octets in memory of a multipart form, its parts
    max_content_length: int | None = None
    max_form_memory_size: int | None = 500_000
    max_form_parts: int | None = 1000
    trusted_hosts: list[str] | None = None

    parameter_storage_class: type[Any] = ImmutableMultiDict
    dict_storage_class: type[Any] = ImmutableMultiDict
    list_storage_class: type[Any] = ImmutableList
    user_agent_class: type[Any] = UserAgent
    form_data_parser_class: type[FormDataParser] = FormDataParser
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
        """A request made up from the arguments of `EnvironBuilder`."""
        from carboy.http.request.environ_builder import EnvironBuilder

        builder = EnvironBuilder(*args, **kwargs)
        try:
            return cls(builder.get_environ())
        finally:
            builder.close()

    @classmethod
    def application(cls, f: Callable[..., WSGIApplication]) -> WSGIApplication:
        """A function of a request that returns a response, as a WSGI application.

        The request is the last argument, so that methods can be decorated. An HTTPException
        is the response; the request is closed afterwards.
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

    # facts of the origin

    if not TYPE_CHECKING:
        environ = lazy(_environ)
    method: lazy[str] = lazy(_fact("method"))
    scheme: lazy[str] = lazy(_fact("scheme"))
    server: lazy[tuple[str, int | None] | None] = lazy(_fact("server"))
    root_path: lazy[str] = lazy(_fact("root_path"))
    path: lazy[str] = lazy(_fact("path"))
    query_string: lazy[bytes] = lazy(_fact("query_string"))
    remote_addr: lazy[str | None] = lazy(_fact("remote_addr"))
    headers: lazy[Headers] = lazy(_fact("headers"))
    host_header: lazy[str | None] = lazy(_fact("host_header"))
    content_length: lazy[int | None] = lazy(_fact("content_length"))
    input_stream: lazy[IO[bytes]] = lazy(_fact("raw_stream"))
    remote_user = environ_property[str]("REMOTE_USER")
    is_multithread = environ_property[bool]("wsgi.multithread")
    is_multiprocess = environ_property[bool]("wsgi.multiprocess")
    is_run_once = environ_property[bool]("wsgi.run_once")

    def _field(self, name: str) -> str | None:
        """A header field; on the direct lane without making all of them text."""
        if self._exchange is None or "headers" in self.__dict__:
            return self.headers.get(name)  # type: ignore[no-any-return]
        return exchange_origin.field(self._exchange, name)

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

    @property
    def is_secure(self) -> bool:
        """Whether it came by TLS."""
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
        """Whether the body says it is JSON: application/json or application/*+json."""
        mimetype = self.mimetype
        return mimetype == "application/json" or (
            mimetype.startswith("application/") and mimetype.endswith("+json")
        )

    # the body

    stream = lazy(_stream)
    form = lazy(body.form)
    files = lazy(body.files)
    values = lazy(body.values)

    @lazy
    def data(self) -> bytes:
        """The body as bytes; empty for a form, which is parsed instead."""
        return self.get_data(parse_form_data=True)  # type: ignore[return-value]

    @property
    def want_form_data_parsed(self) -> bool:
        """Whether the body may be a form: it has a Content-Type."""
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

    def _parses_forms_as_ever(self) -> bool:
        """Whether no part of the parsing is overridden or replaced, on the class or here."""
        parts = body.form_parsing(self.__class__)
        return parts == _own_form_parsing and body.FORM_PARSING.isdisjoint(self.__dict__)

    def _load_form_data(self) -> None:
        body.load_form_data(self)

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        """Where an uploaded file goes; override it to write elsewhere."""
        return default_stream_factory(total_content_length, content_type, filename, content_length)

    def get_data(
        self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False
    ) -> bytes | str:
        """The whole body, as text with `as_text`; a form is parsed and left out of it with
        `parse_form_data`. Kept for the next call unless `cache` is off."""
        return body.get_data(self, cache, as_text, parse_form_data)

    @property
    def json(self) -> Any:
        """The body as JSON: 415 if it does not say so, 400 if it is none."""
        return self.get_json()

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The body as JSON; `force` ignores the media type, `silent` gives None for errors."""
        return body.get_json(self, force, silent, cache)

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        """What get_json gives, or raises, for a body that is not JSON."""
        return body.json_failed(e)

    # life

    def close(self) -> None:
        """Close the uploaded files."""
        body.close(self)

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
