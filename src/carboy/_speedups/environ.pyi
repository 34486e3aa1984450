"""Types of environ.pyx."""

from typing import Any, Literal

from carboy.protocol.events import RequestHead

def add_fields(
    environ: dict[str, Any], head: RequestHead, underscores: bool
) -> Literal[True] | None: ...
