"""The last requests of an application, and what happened while each was answered.

`RequestList` wraps a WSGI application, notes, and shows what it has at `/__carboy__/`.
"""

from carboy.dev.requests.record import Record
from carboy.dev.requests.store import Store
from carboy.dev.requests.wsgi import RequestList

__all__ = ["Record", "RequestList", "Store"]
