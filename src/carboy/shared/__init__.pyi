"""Written by tools/write_stubs.py from the table NAMES in __init__.py."""

from carboy.shared.errors import EngineError
from carboy.shared.errors import EngineUnavailable
from carboy.shared.limits import Limit
from carboy.shared.limits import limit
from carboy.shared.limits import limit_exempt
from carboy.shared.sessions import ServerSession
from carboy.shared.sessions import ServerSessionInterface
from carboy.shared.sessions import Session
from carboy.shared.store import Store
from carboy.shared.stores import store_at

__all__ = [
    "EngineError",
    "EngineUnavailable",
    "Limit",
    "ServerSession",
    "ServerSessionInterface",
    "Session",
    "Store",
    "limit",
    "limit_exempt",
    "store_at",
]
