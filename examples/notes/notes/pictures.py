"""Pictures, which are checked by their content and not by their name or declared type.

A picture is stored under a random name with the ending of its real type, and served to its owner
only, so that a browser does not take an upload for a page of this site.
"""

from __future__ import annotations

import contextlib
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carboy import Blueprint, Flask, abort, current_app, send_from_directory, session
from notes.accounts import login_required
from notes.database import db

bp = Blueprint("pictures", __name__)

LARGEST_FILE = 5 * 1024 * 1024
LARGEST_SIDE = 12_000
TYPES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}
JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of JPEG frames. The three markers that are left out are tables and extensions."""


class Refused(Exception):
    """The upload is refused; the text is for the user."""


@dataclass(frozen=True)
class Picture:
    """An examined upload."""

    ending: str
    width: int
    height: int
    content: bytes


def install(app: Flask) -> None:
    app.register_blueprint(bp)


def examine(content: bytes) -> Picture:
    """The picture in `content`; raises Refused if it is not a picture, or too large."""
    if len(content) > LARGEST_FILE:
        raise Refused("A picture may have up to 5 MiB.")
    for ending, size_of in READERS.items():
        try:
            size = size_of(content)
        except (struct.error, IndexError):
            size = None
        if size:
            width, height = size
            if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
                raise Refused(f"A side of a picture may have up to {LARGEST_SIDE:,} pixels.")
            return Picture(ending, width, height, content)
    raise Refused("This is not a PNG, JPEG, GIF or WebP picture.")


def keep(picture: Picture) -> str:
    """Store `picture` and return its name."""
    name = f"{secrets.token_hex(16)}.{picture.ending}"
    _file(name).write_bytes(picture.content)
    return name


def discard(name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        _file(name).unlink()


@bp.get("/pictures/<name>")
@login_required
def show(name: str) -> Any:
    query = "SELECT 1 FROM notes WHERE picture = ? AND user_id = ?"
    if not db().execute(query, (name, session["user_id"])).fetchone():
        abort(404)
    response = send_from_directory(
        current_app.config["PICTURES"], name, mimetype=TYPES[name.rpartition(".")[2]]
    )
    # A picture that is opened by itself cannot run scripts, and shared caches do not store it.
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.cache_control.private = True
    response.cache_control.no_cache = None
    response.cache_control.max_age = 86_400
    return response


def _file(name: str) -> Path:
    return Path(current_app.config["PICTURES"]) / name


# Each reader returns width and height, or None if the content has another format.


def _png(content: bytes) -> tuple[int, int] | None:
    if not content.startswith(b"\x89PNG\r\n\x1a\n") or content[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _gif(content: bytes) -> tuple[int, int] | None:
    if not content.startswith((b"GIF87a", b"GIF89a")):
        return None
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height


def _jpeg(content: bytes) -> tuple[int, int] | None:
    """Read the segments up to the first one that contains the size of the frame."""
    if not content.startswith(b"\xff\xd8\xff"):
        return None
    at = 2
    while content[at] == 0xFF:
        marker = content[at + 1]
        (length,) = struct.unpack_from(">H", content, at + 2)
        if marker in JPEG_SIZES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        at += 2 + length
    return None


def _webp(content: bytes) -> tuple[int, int] | None:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    kind = content[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        return width, int.from_bytes(content[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


READERS: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "png": _png,
    "jpg": _jpeg,
    "gif": _gif,
    "webp": _webp,
}
