"""The JSON of an application. To change it, subclass and set `app.json_provider_class`."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from datetime import date
from json import encoder as _encoder
from json.encoder import encode_basestring, encode_basestring_ascii
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from carboy.dates import http_date
from carboy.speedups import MODULES, speedups

if TYPE_CHECKING:
    from carboy.http.response.response import Response

__all__ = ["DefaultJSONProvider", "JSONProvider"]

# The encoder written in C; None where the interpreter has none.
Encode = Callable[[Any, int], tuple[str, ...]]
c_make_encoder: Callable[..., Encode] | None
c_make_encoder = getattr(_encoder, "c_make_encoder", None)


class Application(Protocol):
    """An application as a provider uses it."""

    debug: bool

    @property
    def response_class(self) -> Callable[..., Response]: ...


class JSONProvider:
    """JSON for one application. A subclass has to define `dumps` and `loads`."""

    def __init__(self, app: Application) -> None:
        self._app: Application = weakref.proxy(app)

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """`obj` as JSON text."""
        raise NotImplementedError(f"Write the method 'dumps' of {type(self).__name__}.")

    def dump(self, obj: Any, fp: IO[str], **kwargs: Any) -> None:
        """Write `obj` as JSON text to a file."""
        fp.write(self.dumps(obj, **kwargs))

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """The value of JSON text."""
        raise NotImplementedError(f"Write the method 'loads' of {type(self).__name__}.")

    def load(self, fp: IO[Any], **kwargs: Any) -> Any:
        """The value of the JSON text in a file."""
        return self.loads(fp.read(), **kwargs)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """A response with the JSON text of the arguments (see `jsonify`)."""
        obj = self._prepare_response_obj(args, kwargs)
        return self._app.response_class(self.dumps(obj), mimetype="application/json")

    def _prepare_response_obj(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args and kwargs:
            raise TypeError(
                "app.json.response() takes either args or kwargs, not both. Pass one dict or"
                " list, or keywords only."
            )
        if not args:
            return kwargs or None
        return args[0] if len(args) == 1 else args


def _default(o: Any) -> Any:
    """The JSON value of an object that the standard library's encoder does not know."""
    if isinstance(o, date):
        return http_date(o)
    kind = type(o)
    # By name, so that `decimal` and `uuid` need not be imported.
    names = {(base.__module__, base.__name__) for base in kind.__mro__}
    if names & STRINGS:
        return str(o)
    if hasattr(o, "__dataclass_fields__"):
        from dataclasses import asdict

        return asdict(o)
    if hasattr(o, "__html__"):
        return str(o.__html__())
    raise TypeError(f"Object of type {kind.__name__} is not JSON serializable")


_decode = json.JSONDecoder().decode
OPENED = (b"{", b"[")
COMPACT = {"separators": (",", ":")}
STRINGS = {("decimal", "Decimal"), ("uuid", "UUID")}

# The compiled twins, which return None for what is not ordinary: of `_compact` and of `_decode`.
_ordinary_text: Callable[[object, bool, bool], str | None] | None = None
_ordinary_value: Callable[[bytes], Any] | None = None


def _compact_encoder(
    default: Callable[[Any], Any], ensure_ascii: bool, sort_keys: bool, markers: Any
) -> Encode:
    """The encoder that json.dumps makes at every call.

    Without `markers` (the containers being written) it has no state, so threads can share it.
    """
    make = cast("Callable[..., Encode]", c_make_encoder)
    quoted = encode_basestring_ascii if ensure_ascii else encode_basestring
    return make(markers, default, quoted, None, ":", ",", sort_keys, False, True)


class DefaultJSONProvider(JSONProvider):
    """JSON by the standard library, with more types.

    Dates become HTTP dates; Decimal, UUID and objects with `__html__` (markup) become text; a
    dataclass becomes a dict. `compact` None means: compact unless in debug mode.
    """

    default: Callable[[Any], Any] = staticmethod(_default)
    ensure_ascii = True
    sort_keys = True
    compact: bool | None = None
    _encode: tuple[Any, Encode] | None = None
    mimetype = "application/json"

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """`obj` as JSON text; the keywords are those of `json.dumps`."""
        if kwargs == COMPACT and c_make_encoder is not None:
            return self._compact(obj)
        kwargs.setdefault("default", self.default)
        kwargs.setdefault("ensure_ascii", self.ensure_ascii)
        kwargs.setdefault("sort_keys", self.sort_keys)
        return json.dumps(obj, **kwargs)

    _original_dumps = staticmethod(dumps)  # a patch replaces `dumps`, not this

    def dumps_compact(self, obj: Any, debug: bool) -> str:
        """The text of a response without the final newline, as short as `compact` allows."""
        compact = not debug if self.compact is None else self.compact
        if c_make_encoder is None or not compact:
            return self.dumps(obj, **self._layout())
        return self._compact(obj)

    def _compact(self, obj: Any) -> str:
        """The text without spaces, by an encoder that is kept."""
        if _ordinary_text is not None:
            text = _ordinary_text(obj, self.ensure_ascii, self.sort_keys)
            if text is not None:
                return text
        settings = (self.default, self.ensure_ascii, self.sort_keys)
        known = self._encode
        if known is None or known[0] != settings:
            known = self._encode = settings, _compact_encoder(*settings, None)
        try:
            return "".join(known[1](obj, 0))
        except RecursionError:
            # Too deep, or a value that contains itself: with markers, the encoder can detect that.
            return "".join(_compact_encoder(*settings, {})(obj, 0))

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """The value of JSON text; the keywords are those of `json.loads`."""
        if s.__class__ is bytes and not kwargs and s[:1] in OPENED and s[1:2] != b"\0":
            if _ordinary_value is not None:
                value = _ordinary_value(s)
                if value is not None:
                    return value
            # UTF-8 (RFC 8259, section 8.1). json.loads would look for other encodings first.
            return _decode(s.decode("utf-8", "surrogatepass"))
        if s.__class__ is str and not kwargs and s[:1] == "{":
            if _ordinary_value is not None:
                value = _ordinary_value(s.encode("utf-8", "surrogatepass"))
                if value is not None:
                    return value
            return _decode(s)
        return json.loads(s, **kwargs)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """A response with the JSON text of the arguments and a final newline."""
        obj = self._prepare_response_obj(args, kwargs)
        if type(self).dumps is self._original_dumps and "dumps" not in self.__dict__:
            text = self.dumps_compact(obj, self._app.debug)
        else:
            text = self.dumps(obj, **self._layout())
        return self._app.response_class(f"{text}\n", mimetype=self.mimetype)

    def _layout(self) -> dict[str, Any]:
        if (self.compact is None and self._app.debug) or self.compact is False:
            return {"indent": 2}
        return COMPACT


def _choose_reader(compiled: ModuleType | None) -> None:
    global _ordinary_value
    _ordinary_value = None if compiled is None else compiled.container


def _choose_writer(compiled: ModuleType | None) -> None:
    global _ordinary_text
    _ordinary_text = None if compiled is None else compiled.compact


speedups.twins("json_reader", _choose_reader)
if "json_writer" in MODULES:
    speedups.twins("json_writer", _choose_writer)
