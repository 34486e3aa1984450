"""The last requests of an application, and what happened while each was answered.

`RequestList` wraps a WSGI application, notes, and shows what it has at `/__carboy__/`.
"""

from carboy.dev.requests.middleware import RequestList
from carboy.dev.requests.store import Record, Store

__all__ = ["Record", "RequestList", "Store"]
