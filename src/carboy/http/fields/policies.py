"""`Content-Security-Policy` (W3C CSP, level 3) and the cross-origin policies (WHATWG HTML, 7.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, TypeVar, overload

from carboy.http.containers.immutable import CallbackDict

P = TypeVar("P", bound="ContentSecurityPolicy")


def csp_property(key: str) -> Any:
    """A property for one directive, for subclasses that add directives."""
    return property(
        lambda self: self._get_value(key),
        lambda self, value: self._set_value(key, value),
        lambda self: self._del_value(key),
        f"The `{key}` directive.",
    )


class ContentSecurityPolicy(CallbackDict[str, str]):
    """A dict of directives; the value is "" for a directive without one, such as `sandbox`.

    Setting an attribute to None removes the directive. `on_update(self)` is called after each
    change.
    """

    base_uri: str | None = csp_property("base-uri")
    child_src: str | None = csp_property("child-src")
    connect_src: str | None = csp_property("connect-src")
    default_src: str | None = csp_property("default-src")
    font_src: str | None = csp_property("font-src")
    form_action: str | None = csp_property("form-action")
    frame_ancestors: str | None = csp_property("frame-ancestors")
    frame_src: str | None = csp_property("frame-src")
    img_src: str | None = csp_property("img-src")
    manifest_src: str | None = csp_property("manifest-src")
    media_src: str | None = csp_property("media-src")
    navigate_to: str | None = csp_property("navigate-to")
    object_src: str | None = csp_property("object-src")
    prefetch_src: str | None = csp_property("prefetch-src")
    plugin_types: str | None = csp_property("plugin-types")
    report_to: str | None = csp_property("report-to")
    report_uri: str | None = csp_property("report-uri")
    sandbox: str | None = csp_property("sandbox")
    script_src: str | None = csp_property("script-src")
    script_src_attr: str | None = csp_property("script-src-attr")
    script_src_elem: str | None = csp_property("script-src-elem")
    style_src: str | None = csp_property("style-src")
    style_src_attr: str | None = csp_property("style-src-attr")
    style_src_elem: str | None = csp_property("style-src-elem")
    worker_src: str | None = csp_property("worker-src")

    def __init__(
        self,
        values: Mapping[str, str] | Iterable[tuple[str, str]] | None = (),
        on_update: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__(values, on_update)
        self.provided = values is not None

    def _get_value(self, key: str) -> str | None:
        return self.get(key)

    def _set_value(self, key: str, value: str | None) -> None:
        if value is None:
            self.pop(key, None)
        else:
            self[key] = value

    def _del_value(self, key: str) -> None:
        self.pop(key, None)

    def to_header(self) -> str:
        """The policy as the value of a field."""
        return dump_csp_header(self)

    def __str__(self) -> str:
        return self.to_header()

    def __repr__(self) -> str:
        directives = " ".join([f"{name}={value!r}" for name, value in sorted(self.items())])
        return f"<{type(self).__name__} {directives}>"


def dump_csp_header(header: ContentSecurityPolicy) -> str:
    """The policy as the value of a field."""
    return "; ".join([f"{name} {value}" if value else name for name, value in header.items()])


Update = Callable[[Any], None]


@overload
def parse_csp_header(
    value: str | None, on_update: Update | None = None, cls: None = None
) -> ContentSecurityPolicy: ...
@overload
def parse_csp_header(value: str | None, on_update: Update | None = None, *, cls: type[P]) -> P: ...
@overload
def parse_csp_header(value: str | None, on_update: Update | None, cls: type[P]) -> P: ...
def parse_csp_header(
    value: str | None, on_update: Update | None = None, cls: type[Any] | None = None
) -> Any:
    """The policy in a field. A directive without a value has the value ""."""
    cls = ContentSecurityPolicy if cls is None else cls
    if value is None:
        return cls((), on_update)
    directives = []
    for part in value.split(";"):
        name, _, text = part.strip(" \t").partition(" ")
        if name:
            directives.append((name, text.strip(" \t")))
    return cls(directives, on_update)


class COEP(Enum):
    """`Cross-Origin-Embedder-Policy`."""

    UNSAFE_NONE = "unsafe-none"
    REQUIRE_CORP = "require-corp"


class COOP(Enum):
    """`Cross-Origin-Opener-Policy`."""

    UNSAFE_NONE = "unsafe-none"
    SAME_ORIGIN_ALLOW_POPUPS = "same-origin-allow-popups"
    SAME_ORIGIN = "same-origin"
