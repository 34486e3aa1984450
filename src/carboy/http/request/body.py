"""The body of a request: stream, data, form and JSON, each read when first asked."""

from __future__ import annotations

import io
from collections.abc import Callable
from operator import attrgetter
from typing import IO, TYPE_CHECKING, Any

from carboy.http.containers.multidict import CombinedMultiDict, MultiDict, iter_multi_items
from carboy.http.exceptions import BadRequest, ClientDisconnected, UnsupportedMediaType
from carboy.http.forms.parser import FormDataParser
from carboy.http.forms.urlencoded import parse_form

if TYPE_CHECKING:
    from carboy.http.request.request import Request


def load_form_data(request: Request) -> None:
    """Parse the body as a form, once: sets `stream`, `form` and `files`."""
    kept = request.__dict__
    if "form" in kept:
        return
    if _is_received_form(request, kept):
        parsed = _received_form(request)
    elif request.want_form_data_parsed:
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


def _received_form(request: Request) -> tuple[Any, Any, Any]:
    new = request.parameter_storage_class
    body: Any = request._exchange.body  # type: ignore[union-attr]
    try:
        fields = parse_form(body.read())
    except ValueError:  # as the parser does: a malformed form has no fields
        fields = []
    return body, new(fields), new()


def _is_received_form(request: Request, kept: dict[str, Any]) -> bool:
    """Whether it is what a form without files nearly always is: all of it in memory, of a size
    that is allowed, and no part of the parsing overridden. The parser would do the same."""
    exchange = request._exchange
    if (
        exchange is None
        or exchange.body.__class__ is not io.BytesIO
        or "stream" in kept
        or "_cached_data" in kept
        or "_parsed_content_type" in kept
        or "content_length" in kept
        or request._field("Content-Type") != URLENCODED
    ):
        return False
    limit = request.max_content_length
    return (
        (limit is None or (exchange.body_size or 0) <= limit)
        and request._parses_forms_as_ever()
        and not request.shallow
        and request.form_data_parser_class is FormDataParser
    )


URLENCODED = "application/x-www-form-urlencoded"
# What a subclass overrides to parse forms its own way; anybody may replace it at any time.
FORM_PARSING = frozenset({"make_form_data_parser", "mimetype", "stream", "want_form_data_parsed"})
form_parsing: Callable[[Any], tuple[Any, ...]] = attrgetter(*sorted(FORM_PARSING))


def _stream_to_parse(request: Request) -> IO[bytes]:
    cached = request.__dict__.get("_cached_data")
    return request.stream if cached is None else io.BytesIO(cached)


def form(request: Request) -> Any:
    """The fields of a form in the body, none where the body is not a form."""
    request._load_form_data()
    return request.__dict__["form"]


def files(request: Request) -> Any:
    """The uploaded files of a multipart form, as FileStorage."""
    request._load_form_data()
    return request.__dict__["files"]


def values(request: Request) -> CombinedMultiDict[str, str]:
    """`args` and `form` together; a GET has only `args`, whatever its body holds."""
    sources = [request.args]
    if request.method != "GET":
        sources.append(request.form)
    return CombinedMultiDict(
        [each if isinstance(each, MultiDict) else MultiDict(each) for each in sources]
    )


def get_data(request: Request, cache: bool, as_text: bool, parse_form_data: bool) -> bytes | str:
    """The body as bytes or UTF-8 text; kept unless `cache` is off."""
    data: bytes | None = request.__dict__.get("_cached_data")
    if data is None:
        if parse_form_data:
            request._load_form_data()
        stream = request.stream
        if getattr(stream, "closed", False):  # a request kept until after its connection
            raise ClientDisconnected
        data = stream.read()
        if cache:
            request.__dict__["_cached_data"] = data
    return data.decode(errors="replace") if as_text else data


def get_json(request: Request, force: bool, silent: bool, cache: bool) -> Any:
    """The body as JSON. What a silent and a loud call found is kept apart."""
    if cache and request._cached_json[silent] is not ...:
        return request._cached_json[silent]
    if not (force or request.is_json):
        return None if silent else request.on_json_loading_failed(None)
    data = request.get_data(cache=cache)
    try:
        found = loud = quiet = loads_of_a_client(request.json_module, data)
    except ValueError as error:
        loud, quiet = request._cached_json
        if silent:
            found = quiet = None
        else:
            found = loud = request.on_json_loading_failed(error)
    if cache:
        request._cached_json = (loud, quiet)
    return found


def loads_of_a_client(module: Any, data: bytes | str) -> Any:
    """`module.loads`, which fails with ValueError for whatever the other side may have sent."""
    try:
        return module.loads(data)
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None


def json_failed(error: ValueError | None) -> Any:
    """400 for JSON that cannot be read, 415 for a body that does not say it is JSON."""
    if error is not None:
        raise BadRequest(f"Failed to decode JSON object: {error}")
    raise UnsupportedMediaType(
        "Did not attempt to load JSON data because the request"
        " Content-Type was not 'application/json'."
    )


def close(request: Request) -> None:
    """Close the uploaded files."""
    for _, file in iter_multi_items(request.__dict__.get("files") or ()):
        file.close()
