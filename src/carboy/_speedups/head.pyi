"""Types of head.pyx."""

from carboy.protocol.events import RequestHead
from carboy.protocol.limits import Limits

def quick_head(data: bytes, limits: Limits) -> RequestHead | None: ...
def similar_head(data: bytes, last: RequestHead) -> RequestHead | None: ...
