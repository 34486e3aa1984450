"""Where the content of an uploaded file is kept."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import IO, Any, cast

StreamFactory = Callable[..., IO[bytes]]

# Above this a file goes to the disk: 500 KiB.
MAX_IN_MEMORY = 500 * 1024


def default_stream_factory(
    total_content_length: int | None,
    content_type: str | None,
    filename: str | None,
    content_length: int | None = None,
) -> IO[bytes]:
    """Memory for a small body; for others a temporary file, in memory up to 500 KiB."""
    if total_content_length is not None and total_content_length <= MAX_IN_MEMORY:
        return io.BytesIO()
    spooled = sys.modules[__name__].SpooledTemporaryFile  # tests replace it here
    return cast("IO[bytes]", spooled(max_size=MAX_IN_MEMORY, mode="rb+"))


def __getattr__(name: str) -> Any:
    if name != "SpooledTemporaryFile":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tempfile import SpooledTemporaryFile  # loads much, for large uploads only

    globals()[name] = SpooledTemporaryFile
    return SpooledTemporaryFile
