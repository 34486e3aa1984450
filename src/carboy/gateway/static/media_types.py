"""The Content-Type of a file, by its name.

The types of the web are in a table, so that they are the same on every machine. Others are those
of the system.
"""

from __future__ import annotations

import os
from functools import lru_cache

UNKNOWN = "application/octet-stream"
TYPES = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".csv": "text/csv",
    ".gif": "image/gif",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".jsonld": "application/ld+json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".otf": "font/otf",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xhtml": "application/xhtml+xml",
    ".xml": "application/xml",
    ".zip": "application/zip",
}
# Files that are compressed and asked for by the name of the compressed file. They are sent as they
# are, without Content-Encoding, so that clients save what is on the disk.
COMPRESSED = {
    ".br": "application/x-brotli",
    ".bz2": "application/x-bzip2",
    ".gz": "application/gzip",
    ".tgz": "application/gzip",
    ".xz": "application/x-xz",
    ".zst": "application/zstd",
}


@lru_cache(1024)
def media_type(name: bytes) -> str:
    """The value of Content-Type for a file; text is UTF-8."""
    suffix = os.path.splitext(os.fsdecode(name))[1].lower()  # noqa: PTH122
    found = TYPES.get(suffix) or COMPRESSED.get(suffix) or _of_system(suffix)
    if found.startswith("text/") or found.endswith(("+xml", "/xml")):
        return f"{found}; charset=utf-8"
    return found


def _of_system(suffix: str) -> str:
    if not suffix:
        return UNKNOWN
    import mimetypes

    return mimetypes.guess_type(f"file{suffix}")[0] or UNKNOWN
