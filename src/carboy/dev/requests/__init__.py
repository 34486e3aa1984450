"""The list of requests: the last requests of an application, and what happened during each.

`RequestList` is WSGI middleware that records requests and shows them at `/__carboy__/`.
"""

from carboy.dev.requests.middleware import RequestList
from carboy.dev.requests.store import Record, Store

__all__ = ["Record", "RequestList", "Store"]
