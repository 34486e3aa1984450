"""The body of a request as bytes, form and JSON: methods and attributes of Request."""

from __future__ import annotations

import io
from collections.abc import Callable
from operator import attrgetter
from typing import IO, TYPE_CHECKING, Any

from carboy import http
from carboy.http.containers.multidict import (
    CombinedMultiDict,
    ImmutableMultiDict,
    MultiDict,
    iter_multi_items,
    made_of,
)
from carboy.http.exceptions import BadRequest, ClientDisconnected, UnsupportedMediaType
from carboy.http.fields.content_type import URLENCODED
from carboy.http.forms.urlencoded import parse_form

if TYPE_CHECKING:
    from carboy.http.request.request import Request

_new_dict = dict.__new__


def load_form_data(request: Request) -> None:
    """Parse the body as a form once, and set `stream`, `form` and `files`."""
    kept = request.__dict__
    if "form" in kept:
        return
    exchange: Any = request._exchange
    if (
        exchange is not None
        and exchange.body.__class__ is io.BytesIO
        and FORM_PARTS.isdisjoint(kept)
        and _is_form(request, exchange, kept)
    ):
        _read_form(request, exchange.body, kept)
        return
    if request.want_form_data_parsed:
        parser = request.make_form_data_parser()
        parsed = parser.parse(
            _stream_to_parse(request),
            request.mimetype,
            request.content_length,
            request.mimetype_params,
        )
    else:
        new = request.parameter_storage_class
        parsed = (request.stream, new(), new())
    kept["stream"], kept["form"], kept["files"] = parsed


def _is_form(request: Request, exchange: Any, kept: dict[str, Any]) -> bool:
    """Whether the body, which is in memory, can be read with the result of FormDataParser.

    It has to be urlencoded, within the limit, and no step of parsing overridden.
    """
    known = None if "headers" in kept else exchange.head.found  # of an earlier request
    if ((known and known.get("Content-Type")) or request._field("Content-Type")) != URLENCODED:
        return False
    limit = request.max_content_length
    return (
        (limit is None or exchange.body_size <= limit)
        and request._parses_forms_normally()
        and not request.shallow
        and request.form_data_parser_class is http.FormDataParser
    )


def _read_form(request: Request, body: io.BytesIO, kept: dict[str, Any]) -> None:
    try:
        fields = parse_form(body.read())
    except ValueError:  # a malformed form has no fields, as with the parser
        fields = []
    new = request.parameter_storage_class
    kept["stream"], kept["form"] = body, made_of(new, fields)
    kept["files"] = _new_dict(ImmutableMultiDict) if new is ImmutableMultiDict else new()


# Subclasses can override these to parse forms differently, and they can be replaced at any time.
FORM_PARSING = frozenset({"make_form_data_parser", "mimetype", "stream", "want_form_data_parsed"})
# These are also in the instance once they were read, or set.
FORM_PARTS = FORM_PARSING | {"_cached_data", "_parsed_content_type", "content_length"}
form_parsing: Callable[[Any], tuple[Any, ...]] = attrgetter(*sorted(FORM_PARSING))


def _stream_to_parse(request: Request) -> IO[bytes]:
    cached = request.__dict__.get("_cached_data")
    return request.stream if cached is None else io.BytesIO(cached)


def form(request: Request) -> Any:
    """The fields of a form in the body; empty if the body is not a form."""
    request._load_form_data()
    return request.__dict__["form"]


def files(request: Request) -> Any:
    """The uploaded files of a multipart form, as FileStorage objects."""
    request._load_form_data()
    return request.__dict__["files"]


def values(request: Request) -> CombinedMultiDict[str, str]:
    """`args` and `form` together. For a GET request, `args` only."""
    sources = [request.args]
    if request.method != "GET":
        sources.append(request.form)
    return CombinedMultiDict(
        [each if isinstance(each, MultiDict) else MultiDict(each) for each in sources]
    )


def get_data(
    request: Request, cache: bool = True, as_text: bool = False, parse_form_data: bool = False
) -> bytes | str:
    """The whole body as bytes, or as text with `as_text`.

    With `parse_form_data`, a form is parsed instead and the result is empty. The body is kept for
    later calls unless `cache` is False.
    """
    data: bytes | None = request.__dict__.get("_cached_data")
    if data is None:
        if parse_form_data:
            request._load_form_data()
        stream = request.stream
        if getattr(stream, "closed", False):  # the request was kept after its connection ended
            raise ClientDisconnected
        data = stream.read()
        if cache:
            request.__dict__["_cached_data"] = data
    return data.decode(errors="replace") if as_text else data


def get_json(
    request: Request, force: bool = False, silent: bool = False, cache: bool = True
) -> Any:
    """The body as JSON. `force` ignores Content-Type, `silent` returns None for errors."""
    # The results with and without `silent` are kept separately.
    if cache and request._cached_json[silent] is not ...:
        return request._cached_json[silent]
    if not (force or request.is_json):
        return None if silent else request.on_json_loading_failed(None)
    data = request.get_data(cache=cache)
    try:
        found = loud = quiet = loads_untrusted(request.json_module, data)
    except ValueError as error:
        loud, quiet = request._cached_json
        if silent:
            found = quiet = None
        else:
            found = loud = request.on_json_loading_failed(error)
    if cache:
        request._cached_json = (loud, quiet)
    return found


def loads_untrusted(module: Any, data: bytes | str) -> Any:
    """`module.loads` with ValueError for JSON that is nested too deeply."""
    try:
        return module.loads(data)
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None


def on_json_loading_failed(request: Request, e: ValueError | None) -> Any:
    """Called by get_json for a body that is not JSON. Its result is returned.

    Raises BadRequest for invalid JSON, or UnsupportedMediaType if `e` is None because Content-Type
    is not JSON.
    """
    if e is not None:
        raise BadRequest(f"Failed to decode JSON object: {e}")
    raise UnsupportedMediaType(
        "Did not attempt to load JSON data because the request"
        " Content-Type was not 'application/json'."
    )


def close(request: Request) -> None:
    """Close the uploaded files."""
    for _, file in iter_multi_items(request.__dict__.get("files") or ()):
        file.close()
