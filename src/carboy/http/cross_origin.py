"""Values of the fields that isolate a page from others (WHATWG HTML, section 7.1)."""

from __future__ import annotations

from enum import Enum


class COEP(Enum):
    """`Cross-Origin-Embedder-Policy`."""

    UNSAFE_NONE = "unsafe-none"
    REQUIRE_CORP = "require-corp"


class COOP(Enum):
    """`Cross-Origin-Opener-Policy`."""

    UNSAFE_NONE = "unsafe-none"
    SAME_ORIGIN_ALLOW_POPUPS = "same-origin-allow-popups"
    SAME_ORIGIN = "same-origin"
