"""Types of head.pyx."""

from carboy.protocol.events import RequestHead
from carboy.protocol.limits import Limits

def prepare(ordinary_class: type[RequestHead], forwarded_class: type[RequestHead]) -> None: ...
def quick_head(
    data: bytes, limits: Limits, last: RequestHead | None = None
) -> RequestHead | None: ...
def similar_head(data: bytes, last: RequestHead) -> RequestHead | None: ...
