"""Where a tag goes in a page of HTML."""

from __future__ import annotations

import re

# A page begins like this, after what may stand before it (HTML, section 13.1).
_begins = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s+|<!--.*?-->|<\?xml.*?\?>)*+<(?:!doctype\s+html|html|head|body)\b",
    re.DOTALL | re.IGNORECASE,
).match
# What may hold "</body>" as text comes first, so that the end found is the end of the body.
_ends = re.compile(
    rb"<!--.*?-->|<(script|style|textarea|title|template|iframe|xmp)\b.*?</\1\s*>|(</body\s*>)",
    re.DOTALL | re.IGNORECASE,
).finditer


def is_page(body: bytes) -> bool:
    """Whether `body` is a whole page, and not a fragment for a place in one."""
    return _begins(body) is not None


def with_tag(body: bytes, tag: bytes) -> bytes:
    """`body` with `tag` before the end of the page's body, or at its own end."""
    place = len(body)
    for found in _ends(body):
        if found[2] is not None:
            place = found.start()
    return b"".join((body[:place], tag, body[place:]))
