"""Characters that cannot be shown as they are, as escapes."""

from __future__ import annotations

import re

# Control characters, separators of lines, characters that change the direction of the text around
# them, and surrogates, which cannot be encoded.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def visible(text: str) -> str:
    """The text with escapes such as `\\x00` for characters that cannot be seen."""
    return HIDDEN.sub(lambda found: _escape(ord(found[0])), text)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
