"""Types of response.pyx."""

from carboy.protocol.events import Fields

def ordinary_response(
    status: str, headers: Fields, body: bytes, extra: bytes, size: int
) -> bytes | None: ...
