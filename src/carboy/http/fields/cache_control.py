"""`Cache-Control` of requests and responses (RFC 9111, section 5.2; RFC 8246, RFC 5861)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, overload

from carboy.http.containers.immutable import CallbackDict, ImmutableDictMixin
from carboy.http.fields.syntax import dump_header, parse_dict_header

C = TypeVar("C", bound="CacheControl")


def cache_control_property(
    key: str, empty: Any, type: type[Any] | None, doc: str | None = None
) -> Any:
    """A property for one directive, for subclasses that add directives.

    `type` is bool for a directive without a value, None for text, or a type that the value is
    converted to. `empty` is the result for a directive that was sent without a value.
    """
    return property(
        lambda self: self._get_cache_value(key, empty, type),
        lambda self, value: self._set_cache_value(key, value, type),
        lambda self: self._del_cache_value(key),
        doc or f"The `{key}` directive.",
    )


class CacheControl(CallbackDict[str, str | None]):
    """A dict of directives, with None for a directive without a value. Attributes convert values.

    Setting an attribute to None or False removes the directive. `on_update(self)` is called after
    each change.
    """

    no_store: bool = cache_control_property("no-store", None, bool)
    max_age: int | None = cache_control_property("max-age", None, int)
    no_transform: bool = cache_control_property("no-transform", None, bool)
    stale_if_error: int | None = cache_control_property("stale-if-error", None, int)

    def __init__(
        self,
        values: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = (),
        on_update: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__(values, on_update)
        self.provided = values is not None

    def _get_cache_value(self, key: str, empty: Any, type: type[Any] | None) -> Any:
        if type is bool:
            return key in self
        if key not in self:
            return None
        value = self[key]
        if value is None:
            return empty
        try:
            return value if type is None else type(value)
        except ValueError:
            return None

    def _set_cache_value(self, key: str, value: Any, type: type[Any] | None) -> None:
        if not value if type is bool else value is None or value is False:
            self.pop(key, None)
        elif type is bool or value is True:
            self[key] = None
        else:
            self[key] = str(value if type is None else type(value))

    def _del_cache_value(self, key: str) -> None:
        self.pop(key, None)

    def to_header(self) -> str:
        """The directives as the value of a field."""
        return dump_header(self)

    def __str__(self) -> str:
        return self.to_header()

    def __repr__(self) -> str:
        directives = " ".join([f"{name}={value!r}" for name, value in sorted(self.items())])
        return f"<{type(self).__name__} {directives}>"


class RequestCacheControl(ImmutableDictMixin[str, str | None], CacheControl):  # type: ignore[misc]
    """The directives of a request. They cannot be changed."""

    no_cache: bool = cache_control_property("no-cache", None, bool)
    max_stale: int | bool | None = cache_control_property("max-stale", True, int)
    min_fresh: int | None = cache_control_property("min-fresh", None, int)
    only_if_cached: bool = cache_control_property("only-if-cached", None, bool)


class ResponseCacheControl(CacheControl):
    """The directives of a response."""

    no_cache: str | bool | None = cache_control_property("no-cache", True, None)
    public: bool = cache_control_property("public", None, bool)
    private: str | bool | None = cache_control_property("private", True, None)
    must_revalidate: bool = cache_control_property("must-revalidate", None, bool)
    proxy_revalidate: bool = cache_control_property("proxy-revalidate", None, bool)
    s_maxage: int | None = cache_control_property("s-maxage", None, int)
    immutable: bool = cache_control_property("immutable", None, bool)
    must_understand: bool = cache_control_property("must-understand", None, bool)
    stale_while_revalidate: int | None = cache_control_property("stale-while-revalidate", None, int)


Update = Callable[[Any], None]


@overload
def parse_cache_control_header(
    value: str | None, on_update: Update | None = None, cls: None = None
) -> RequestCacheControl: ...
@overload
def parse_cache_control_header(
    value: str | None, on_update: Update | None = None, *, cls: type[C]
) -> C: ...
@overload
def parse_cache_control_header(value: str | None, on_update: Update | None, cls: type[C]) -> C: ...
def parse_cache_control_header(
    value: str | None, on_update: Update | None = None, cls: type[Any] | None = None
) -> Any:
    """The directives of a field as a `RequestCacheControl` or `cls`."""
    cls = RequestCacheControl if cls is None else cls
    return cls(parse_dict_header(value) if value else (), on_update)
