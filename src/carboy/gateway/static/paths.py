"""From the path of a request to the name of a file below a folder. Opens nothing."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote_to_bytes

# Nearly every path: nothing is encoded, and no segment begins with a dot.
_plain = re.compile(r"(?:/[A-Za-z0-9_~@+=,-][A-Za-z0-9_.~@+=,-]*)*/?").fullmatch
# Encoded slashes and backslashes could separate segments for another program, and sites do not mean
# to publish names with control characters. A colon is part of a drive or a stream.
_refused = re.compile(rb"[\x00-\x1f\x7f/\\:]" if os.name == "nt" else rb"[\x00-\x1f\x7f/\\]").search
WELL_KNOWN = b".well-known"  # RFC 8615


def file_name(path: str) -> bytes | None:
    """The name of the file for a path that begins with a slash; None for one that names no file.

    It is relative and has no dot segment, no hidden name and no empty segment. With a slash at
    its end, or empty, it is the name of a folder.
    """
    if _plain(path):
        return path[1:].encode("ascii")
    parts = [unquote_to_bytes(part.encode("latin-1")) for part in path[1:].split("/")]
    last = len(parts) - 1
    for at, part in enumerate(parts):
        if not part and at == last:
            continue
        if not part or is_hidden(part) or _refused(part):
            return None
    return b"/".join(parts)


def is_hidden(part: bytes) -> bool:
    """Whether a segment is hidden: it begins with a dot, and is not `.well-known`."""
    return part.startswith(b".") and part != WELL_KNOWN
