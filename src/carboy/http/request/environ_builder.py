"""A builder of WSGI environs and requests for tests."""

from __future__ import annotations

import io
import json as _json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit

from carboy.http.containers.immutable import CallbackDict
from carboy.http.containers.multidict import MultiDict, iter_multi_items
from carboy.http.fields.auth import Authorization
from carboy.http.fields.content_type import MULTIPART, URLENCODED, get_content_type
from carboy.http.fields.headers import EnvironHeaders, Headers
from carboy.http.fields.syntax import dump_options_header, parse_options_header
from carboy.http.forms.encoding import stream_encode_multipart
from carboy.http.forms.file_storage import FileMultiDict, FileStorage
from carboy.http.forms.urlencoded import encode_pairs
from carboy.http.request.request import Request
from carboy.http.urls import PATH_SAFE, iri_to_uri
from carboy.http.wsgi import environ_text, environ_value

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# What urlsplit would take out of a path, or read as its end.
NOT_IN_TARGETS = {ord(each): quote(each) for each in "?#\t\r\n"}


class EnvironBuilder:
    """The parts of a request, from which an environ or a request is made.

    `path` may contain a query; `base_url` gives scheme, host and script name. `data` is the body:
    bytes, text, a stream, or a mapping of form fields and files. A file is an open file, a
    FileStorage, or a tuple of stream, name and type. `json` is encoded by `json_dumps`. `auth` is a
    tuple of name and password or an Authorization. Header names do not have to be tokens, so that
    tests can send invalid names. ValueError for control characters in names and values, and for
    two queries.
    """

    server_protocol = "HTTP/1.1"
    wsgi_version = (1, 0)
    request_class: type[Request] = Request

    def __init__(
        self,
        path: str = "/",
        base_url: str | None = None,
        query_string: Mapping[str, Any] | str | bytes | None = None,
        method: str = "GET",
        input_stream: IO[bytes] | None = None,
        content_type: str | None = None,
        content_length: int | None = None,
        errors_stream: IO[str] | None = None,
        multithread: bool = False,
        multiprocess: bool = False,
        run_once: bool = False,
        headers: Headers | Mapping[str, Any] | Iterable[tuple[str, str]] | None = None,
        data: Any = None,
        environ_base: Mapping[str, Any] | None = None,
        environ_overrides: Mapping[str, Any] | None = None,
        mimetype: str | None = None,
        json: Any = None,
        auth: Authorization | tuple[str, str] | None = None,
    ) -> None:
        self._query_string: str | None = None
        self._args: MultiDict[str, Any] | None = MultiDict()
        self._input_stream: IO[bytes] | None = None
        self._form: MultiDict[str, Any] | None = None
        self._files: FileMultiDict | None = None
        self.closed = False
        self._set_target(path, query_string)
        self.base_url = base_url if base_url is None else iri_to_uri(base_url)
        self.method = method
        self.headers = _client_headers(headers)
        self.errors_stream = sys.stderr if errors_stream is None else errors_stream
        self.multithread = multithread
        self.multiprocess = multiprocess
        self.run_once = run_once
        self.environ_base = environ_base
        self.environ_overrides = environ_overrides
        if content_type is not None:
            self.content_type = content_type
        if mimetype is not None:
            self.mimetype = mimetype
        if auth is not None:
            self._set_auth(auth)
        if json is not None:
            data = self._encode_json(json, data)
        if input_stream is not None:
            if data is not None:
                raise TypeError("can't provide input stream and data: the body is one of them.")
            self.input_stream = input_stream
        self.content_length = content_length
        if data:
            self._set_data(data)

    # arguments

    def _set_target(self, path: str, query: Mapping[str, Any] | str | bytes | None) -> None:
        if query is not None and "?" in path:
            raise ValueError(
                "Query string is defined in the path and in query_string. Give it once."
            )
        parts = urlsplit(path)
        self.request_uri = path
        self.path = iri_to_uri(parts.path)
        if query is None and "?" in path:
            query = parts.query
        if isinstance(query, bytes):
            query = query.decode()
        if isinstance(query, str):
            self.query_string = query
        elif query is not None:
            self.args = query if isinstance(query, MultiDict) else MultiDict(query)

    def _set_auth(self, auth: Authorization | tuple[str, str]) -> None:
        if isinstance(auth, tuple):
            auth = Authorization("basic", {"username": auth[0], "password": auth[1]})
        self.headers.set("Authorization", auth.to_header())

    def _encode_json(self, value: Any, data: Any) -> str:
        if data is not None:
            raise TypeError("can't provide both json and data: the body is one of them.")
        if self.content_type is None:
            self.content_type = "application/json"
        return self.json_dumps(value)

    def _set_data(self, data: Any) -> None:
        if hasattr(data, "read"):
            data = data.read()
        if isinstance(data, str):
            data = data.encode()
        if isinstance(data, bytes | bytearray):
            self.input_stream = io.BytesIO(data)
            if self.content_length is None:
                self.content_length = len(data)
            return
        for name, value in _fields(data):
            if isinstance(value, tuple):
                self.files.add_file(name, *value)
            elif hasattr(value, "read") or isinstance(value, FileStorage):
                self.files.add_file(name, value)
            else:
                self.form.add(name, value)

    @staticmethod
    def json_dumps(obj: Any, **kwargs: Any) -> str:
        """Encode the `json` argument. Subclasses use the JSON provider of their application."""
        return _json.dumps(obj, **kwargs)

    @classmethod
    def from_environ(cls, environ: WSGIEnvironment, **kwargs: Any) -> Self:
        """A builder for the request of an environ. Keyword arguments replace its parts."""
        headers = Headers._with_any_names(EnvironHeaders(environ))
        script = _quoted(environ.get("SCRIPT_NAME", ""))
        scheme, host = environ["wsgi.url_scheme"], environ.get("HTTP_HOST") or _server(environ)
        found: dict[str, Any] = {
            "path": environ_text(environ["PATH_INFO"]).translate(NOT_IN_TARGETS),
            "base_url": urlunsplit((scheme, host, script, "", "")),
            "query_string": environ_text(environ["QUERY_STRING"]),
            "method": environ["REQUEST_METHOD"],
            "input_stream": environ["wsgi.input"],
            "content_length": headers.get("Content-Length", type=int),
            "errors_stream": environ["wsgi.errors"],
            "multithread": environ["wsgi.multithread"],
            "multiprocess": environ["wsgi.multiprocess"],
            "run_once": environ["wsgi.run_once"],
        }
        headers.pop("Content-Length", None)
        headers.pop("Host", None)
        return cls(**{**found, "headers": headers, **kwargs})

    # parts that are computed or checked

    @property
    def base_url(self) -> str:
        """Scheme, host and script name: a URL without query and fragment."""
        return urlunsplit((self.url_scheme, self.host, f"{self.script_root}/", "", ""))

    @base_url.setter
    def base_url(self, value: str | None) -> None:
        scheme, host, script_root, query, fragment = urlsplit(
            "http://localhost/" if value is None else value
        )
        if query or fragment:
            raise ValueError(
                f"base url must not contain a query string, nor a fragment: {value!r}."
            )
        self.script_root = script_root.rstrip("/")
        self.host = host if host.isascii() else urlsplit(iri_to_uri(f"//{host}")).netloc
        self.url_scheme = scheme

    @property
    def content_type(self) -> str | None:
        """Content-Type of the headers, or the type for the form, or None."""
        found: str | None = self.headers.get("Content-Type")
        if found is None and self._input_stream is None:
            if self._files:
                return MULTIPART
            if self._form:
                return URLENCODED
        return found

    @content_type.setter
    def content_type(self, value: str | None) -> None:
        _set_or_remove(self.headers, "Content-Type", value)

    @property
    def mimetype(self) -> str | None:
        """The content type without parameters."""
        found = self.content_type
        return found.split(";")[0].strip() if found else None

    @mimetype.setter
    def mimetype(self, value: str) -> None:
        self.content_type = get_content_type(value, "utf-8")

    @property
    def mimetype_params(self) -> CallbackDict[str, str]:
        """The parameters of the content type. Changing them changes the header."""

        def changed(params: CallbackDict[str, str]) -> None:
            self.headers["Content-Type"] = dump_options_header(self.mimetype, params)

        found = parse_options_header(self.headers.get("Content-Type", ""))[1]
        return CallbackDict(found, changed)

    @property
    def content_length(self) -> int | None:
        """Content-Length of the headers. The length of a form is computed when it is encoded."""
        found: int | None = self.headers.get("Content-Length", type=int)
        return found

    @content_length.setter
    def content_length(self, value: int | None) -> None:
        _set_or_remove(self.headers, "Content-Length", None if value is None else str(value))

    @property
    def form(self) -> MultiDict[str, Any]:
        """The fields of the form. AttributeError if `input_stream` is set."""
        self._no_stream()
        if self._form is None:
            self._form = MultiDict()
        return self._form

    @form.setter
    def form(self, value: MultiDict[str, Any]) -> None:
        self._input_stream = None
        self._form = value

    @property
    def files(self) -> FileMultiDict:
        """The files of the form. AttributeError if `input_stream` is set."""
        self._no_stream()
        if self._files is None:
            self._files = FileMultiDict()
        return self._files

    @files.setter
    def files(self, value: FileMultiDict) -> None:
        self._input_stream = None
        self._files = value

    def _no_stream(self) -> None:
        if self._input_stream is not None:
            raise AttributeError(
                "an input stream is defined, so the body has no form. Set input_stream to None"
                " first."
            )

    @property
    def input_stream(self) -> IO[bytes] | None:
        """The body as a stream. Setting it drops the form."""
        return self._input_stream

    @input_stream.setter
    def input_stream(self, value: IO[bytes] | None) -> None:
        self._input_stream = value
        self._form = None
        self._files = None

    @property
    def query_string(self) -> str:
        """The query. Setting it drops `args`."""
        if self._query_string is None:
            return encode_pairs(self._args or MultiDict())
        return self._query_string

    @query_string.setter
    def query_string(self, value: str | None) -> None:
        self._query_string = value
        self._args = None if value is not None else MultiDict()

    @property
    def args(self) -> MultiDict[str, Any]:
        """The values of the query. AttributeError if `query_string` is set."""
        if self._args is None:
            raise AttributeError("a query string is defined. Read query_string, or set args.")
        return self._args

    @args.setter
    def args(self, value: MultiDict[str, Any] | None) -> None:
        self._query_string = None
        self._args = value if value is not None else MultiDict()

    @property
    def server_name(self) -> str:
        """The host without the port."""
        host, _, port = self.host.rpartition(":")
        return host if host and "]" not in port else self.host

    @property
    def server_port(self) -> int:
        """The port of the host, or the default port of the scheme."""
        port = self.host.rpartition(":")[2]
        if port.isdecimal() and ":" in self.host:
            return int(port)
        return 443 if self.url_scheme == "https" else 80

    # results

    def close(self) -> None:
        """Close the files."""
        if self.closed:
            return
        for file in self._files.values() if self._files else ():
            file.close()
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _body(self) -> tuple[IO[bytes], int | None, str | None]:
        """The stream, length and content type of the body."""
        kind = self.content_type
        stream = self._input_stream
        if stream is not None:
            start = stream.tell()
            end = stream.seek(0, io.SEEK_END)
            stream.seek(start)
            return stream, end - start, kind
        if self.mimetype == MULTIPART:
            values = MultiDict(self.form)
            for name, file in self.files.items(multi=True):
                values.add(name, file)
            stream, length, boundary = stream_encode_multipart(values)
            return stream, length, f'{MULTIPART}; boundary="{boundary}"'
        if self.mimetype == URLENCODED:
            body = encode_pairs(self.form).encode("ascii")
            return io.BytesIO(body), len(body), kind
        return io.BytesIO(), self.content_length, kind

    def get_environ(self) -> WSGIEnvironment:
        """The environ: the base, then the values of this builder, then the overrides."""
        stream, length, content_type = self._body()
        uri = environ_value(self.request_uri)
        environ: WSGIEnvironment = {
            **dict(self.environ_base or {}),
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": _unquoted(self.script_root),
            "PATH_INFO": _unquoted(self.path),
            "QUERY_STRING": environ_value(self.query_string),
            "REQUEST_URI": uri,
            "RAW_URI": uri,
            "SERVER_NAME": self.server_name,
            "SERVER_PORT": str(self.server_port),
            "HTTP_HOST": self.host,
            "SERVER_PROTOCOL": self.server_protocol,
            "wsgi.version": self.wsgi_version,
            "wsgi.url_scheme": self.url_scheme,
            "wsgi.input": stream,
            "wsgi.errors": self.errors_stream,
            "wsgi.multithread": self.multithread,
            "wsgi.multiprocess": self.multiprocess,
            "wsgi.run_once": self.run_once,
        }
        if content_type is not None:
            environ["CONTENT_TYPE"] = content_type
        if length is not None:
            environ["CONTENT_LENGTH"] = str(length)
        self._add_fields(environ)
        environ.update(self.environ_overrides or {})
        return environ

    def _add_fields(self, environ: WSGIEnvironment) -> None:
        fields: dict[str, list[str]] = {}
        for name, value in self.headers:
            key = name.upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                fields.setdefault(f"HTTP_{key}", []).append(value)
        for key, values in fields.items():
            # RFC 6265, section 5.4: a comma does not separate cookies.
            environ[key] = ("; " if key == "HTTP_COOKIE" else ", ").join(values)

    def get_request(self, cls: type[Request] | None = None) -> Request:
        """A request with the environ, of `cls` or of `request_class`."""
        return (cls or self.request_class)(self.get_environ())


def create_environ(*args: Any, **kwargs: Any) -> WSGIEnvironment:
    """The environ of an EnvironBuilder that has these arguments."""
    with EnvironBuilder(*args, **kwargs) as builder:
        return builder.get_environ()


def _client_headers(given: Any) -> Headers:
    if isinstance(given, Headers):
        return given
    return Headers() if given is None else Headers._with_any_names(given)


def _set_or_remove(headers: Headers, name: str, value: str | None) -> None:
    if value is None:
        headers.pop(name, None)
    else:
        headers.set(name, value)


def _unquoted(path: str) -> str:
    return environ_value(unquote_to_bytes(path).decode(errors="replace"))


def _quoted(path: str) -> str:
    return quote(path.encode("latin-1"), safe=PATH_SAFE)


def _server(environ: WSGIEnvironment) -> str:
    return f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"


def _fields(data: Any) -> Iterator[tuple[str, Any]]:
    """Names and values. A list is several values of one name, a tuple is one file."""
    if not isinstance(data, Mapping) or hasattr(data, "getlist"):
        yield from iter_multi_items(data)
        return
    for name, value in data.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, one
