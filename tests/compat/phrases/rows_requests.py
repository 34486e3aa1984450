"""Requests, their bodies, and the values of HTTP."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

from table import case, row, rows
from werkzeug import datastructures as values
from werkzeug import exceptions, http, security, utils, wsgi
from werkzeug._internal import _get_environ
from werkzeug.formparser import FormDataParser
from werkzeug.routing import Map
from werkzeug.sansio import multipart
from werkzeug.test import create_environ, run_wsgi_app
from werkzeug.wrappers import Request, Response

NEWLINE = "Header values must not contain newline characters"
SHALLOW = "This request was created with 'shallow=True'"
READ_ONLY = "read only property"


def request(**options: Any) -> Request:
    return Request(create_environ(**options))


def changes(value: Any, *calls: tuple[Any, ...]) -> None:
    kind = type(value).__name__
    for name, *args in calls:
        row(
            f"{kind}.{name}",
            TypeError,
            f"'{kind}' objects are immutable",
            lambda name=name, args=args: getattr(value, name)(*args),  # type: ignore[misc]
        )


changes(
    values.ImmutableList([1]),
    *(("append", 1), ("extend", [1]), ("insert", 0, 1), ("pop",), ("remove", 1), ("sort",)),
    *(("reverse",), ("__setitem__", 0, 1), ("__delitem__", 0), ("__iadd__", [1])),
)
changes(
    values.ImmutableDict(a=1),
    *(("clear",), ("pop", "a"), ("popitem",), ("setdefault", "b"), ("update", {})),
    *(("__setitem__", "a", 1), ("__delitem__", "a")),
)
changes(
    values.ImmutableMultiDict({"a": 1}),
    *(("add", "a", 1), ("clear",), ("pop", "a"), ("poplist", "a"), ("popitemlist",)),
    *(("setlist", "a", []), ("setlistdefault", "a"), ("update", {}), ("__setitem__", "a", 1)),
)
changes(
    values.CombinedMultiDict([values.MultiDict({"a": 1})]),
    *(("add", "a", 1), ("pop", "a"), ("update", {}), ("__setitem__", "a", 1)),
)
changes(
    values.EnvironHeaders({"HTTP_A": "1"}),
    *(("add", "a", "1"), ("set", "a", "1"), ("pop", "a"), ("remove", "a"), ("extend", {})),
    *(("setdefault", "a", "b"), ("update", {}), ("__setitem__", "a", "b"), ("__delitem__", "a")),
)
changes(values.RequestCacheControl({"max-age": "1"}), ("pop", "a"), ("__setitem__", "a", 1))
changes(values.Accept([("a", 1)]), ("append", 1), ("__setitem__", 0, 1))
row(
    "arguments of a request changed",
    TypeError,
    "'ImmutableMultiDict' objects are immutable",
    lambda: request().args.add("a", "b"),
)
row(
    "attribute of a request's cache control",
    TypeError,
    "objects are immutable",
    lambda: setattr(values.RequestCacheControl(), "no_cache", True),
)
row(
    "missing key",
    exceptions.BadRequestKeyError,
    "400 Bad Request",
    lambda: values.MultiDict()["a"],
)
rows(
    ValueError,
    NEWLINE,
    {
        "header of two lines": lambda: values.Headers({"a": "b\n"}),
        "header of two lines added": lambda: values.Headers().add("a", "b\r"),
        "header of two lines set": lambda: values.Headers().set("a", "b\n"),
        "header of two lines assigned": lambda: values.Headers().__setitem__("a", "b\n"),
    },
)
rows(
    TypeError,
    "cannot create 'EnvironHeaders' copies",
    {
        "copy of an environ's headers": lambda: values.EnvironHeaders({}).copy(),
        "union of an environ's headers": lambda: values.EnvironHeaders({}) | {},
    },
)
row(
    "combined dict from keys",
    TypeError,
    "cannot create 'CombinedMultiDict' instances by fromkeys",
    lambda: values.CombinedMultiDict.fromkeys([], 1),
)
row(
    "OrderedMultiDict",
    DeprecationWarning,
    "'OrderedMultiDict' is deprecated",
    lambda: values.OrderedMultiDict,
)
row(
    "OrderedMultiDict made",
    DeprecationWarning,
    "'OrderedMultiDict' is deprecated",
    values.OrderedMultiDict,
)
row(
    "ImmutableOrderedMultiDict",
    DeprecationWarning,
    "'ImmutableOrderedMultiDict' is deprecated",
    lambda: values.structures.ImmutableOrderedMultiDict,
)


@case("ImmutableOrderedMultiDict made", DeprecationWarning, "'OrderedMultiDict' is deprecated")
def immutable_ordered_made() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = values.structures.ImmutableOrderedMultiDict
    kind()


rows(
    ValueError,
    "invalid mimetype",
    {
        "media type without a slash": lambda: "x" in values.MIMEAccept([("a/b", 1)]),
        "media type after a star": lambda: "*/x" in values.MIMEAccept([("a/b", 1)]),
    },
)
rows(
    ValueError,
    "is not a valid range",
    {
        "backward range": lambda: values.Range("bytes", [(5, 3)]),
        "empty range": lambda: values.Range("bytes", [(5, 5)]),
    },
)
row(
    "etags asked for nothing",
    TypeError,
    "'data' is required when 'etag' is not given",
    values.ETags(["a"]),
)
row("quote_etag of a quote", ValueError, "invalid etag", lambda: http.quote_etag('"'))
row(
    "dump_cookie of a big one",
    UserWarning,
    "The 'a' cookie is too large",
    lambda: http.dump_cookie("a", "x" * 5000),
)
row(
    "dump_cookie with another SameSite",
    ValueError,
    "SameSite must be",
    lambda: http.dump_cookie("a", samesite="x"),
)
row("age below 0", ValueError, "age cannot be negative", lambda: http.dump_age(-1))
row(
    "etag and data",
    TypeError,
    "both data and etag given",
    lambda: http.is_resource_modified(create_environ(), etag="a", data=b""),
)
rows(
    ValueError,
    "Invalid hash method 'md5'",
    {
        "password hashed by another method": lambda: security.generate_password_hash("x", "md5"),
        "password checked by another method": lambda: security.check_password_hash("md5$a$b", "x"),
    },
)
row(
    "pbkdf2 of too many",
    ValueError,
    "'pbkdf2' takes 2 arguments",
    lambda: security.generate_password_hash("x", "pbkdf2:sha256:1:2"),
)
rows(
    ValueError,
    "'scrypt' takes 3 arguments",
    {
        "scrypt of one": lambda: security.generate_password_hash("x", "scrypt:1"),
        "scrypt of letters": lambda: security.generate_password_hash("x", "scrypt:a:b:c"),
    },
)
rows(
    ValueError,
    "Salt length must be at least 1",
    {
        "hash without a salt": lambda: security.generate_password_hash("x", salt_length=0),
        "salt of no length": lambda: security.gen_salt(0),
    },
)
rows(
    AttributeError,
    READ_ONLY,
    {
        "environ's value set": lambda: setattr(request(), "remote_user", "x"),
        "header's value set": lambda: setattr(request(), "content_type", "x"),
        "header's value deleted": lambda: delattr(request(), "content_type"),
    },
)
row(
    "werkzeug's send_file without a name",
    TypeError,
    "Unable to detect the MIME type",
    lambda: utils.send_file(io.BytesIO(), create_environ()),
)
rows(
    AssertionError,
    "'int' is not a WSGI environment",
    {
        "number for an environ": lambda: _get_environ(5),
        "number for conditions": lambda: Response().make_conditional(5),
        "number to call with": lambda: run_wsgi_app(str, 5),
        "number to force with": lambda: Response.force_type(lambda environ, start: [], 5),
        "number for from_app": lambda: Response.from_app(lambda environ, start: [], 5),
        "number to bind a map to": lambda: Map().bind_to_environ(5),
    },
)
row(
    "untrusted host",
    exceptions.SecurityError,
    "400 Bad Request: Host 'a' is not trusted",
    lambda: wsgi.get_host(create_environ(base_url="http://a/"), ["b"]),
)
row(
    "body cut short",
    exceptions.ClientDisconnected,
    "400 Bad Request",
    lambda: wsgi.LimitedStream(io.BytesIO(b"a"), 5).read(),
)


@case("body too large", exceptions.RequestEntityTooLarge, "413 Request Entity Too Large")
def too_large() -> None:
    made = request(method="POST", data={"a": "bbbb"})
    made.max_content_length = 1
    made.form  # noqa: B018


def shallow(read: Callable[[Request], Any]) -> Callable[[], Any]:
    return lambda: read(Request(create_environ(), shallow=True))


rows(
    RuntimeError,
    SHALLOW,
    {
        "data of a shallow request": shallow(lambda made: made.get_data()),
        "form of a shallow request": shallow(lambda made: made.form),
        "stream of a shallow request": shallow(lambda made: made.stream),
    },
)
row(
    "JSON of another type",
    exceptions.UnsupportedMediaType,
    "Did not attempt to load JSON data because the request Content-Type",
    lambda: request(data="x").json,
)
row(
    "invalid JSON",
    exceptions.BadRequest,
    "Failed to decode JSON object",
    lambda: request(data="{", content_type="application/json").json,
)
row(
    "multipart without a boundary",
    ValueError,
    "Missing boundary",
    lambda: FormDataParser(silent=False).parse(io.BytesIO(), "multipart/form-data", 0, {}),
)


def decoded(*data: bytes | None, **options: Any) -> None:
    decoder = multipart.MultipartDecoder(b"foo", **options)
    for each in data:
        decoder.receive_data(each)
        while not isinstance(decoder.next_event(), multipart.NeedData | multipart.Epilogue):
            pass


row(
    "multipart cut short",
    ValueError,
    "Invalid form-data cannot parse beyond",
    lambda: decoded(b"--foo\r\n", None),
)
row(
    "part without a name",
    ValueError,
    "Missing Content-Disposition header",
    lambda: decoded(b"--foo\r\nA: b\r\n\r\nabc\r\n--foo--"),
)
row(
    "parts in the wrong order",
    ValueError,
    "Cannot generate Data(",
    lambda: multipart.MultipartEncoder(b"foo").send_event(multipart.Data(b"x", False)),
)
