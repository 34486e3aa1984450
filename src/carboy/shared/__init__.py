"""Sessions, limits and a cache that several workers and machines share, on Redis or PostgreSQL.

    Session(app)           sessions whose content stays on the server (sessions.py)
    @limit("10/minute")    a limit for each client (limits.py)
    CACHE_TYPE             a backend of Flask-Caching (cache.py)

This is a room of its own, above `app`, because none of it needs the server or its channels, and all
of it works under any WSGI server. `realtime` uses its addresses and errors.
"""

from __future__ import annotations

from carboy.lazy import lazy_names

NAMES = {
    "carboy.shared.errors": "EngineError EngineUnavailable",
    "carboy.shared.limits": "Limit limit limit_exempt",
    "carboy.shared.sessions": "ServerSession ServerSessionInterface Session",
    "carboy.shared.store": "Store",
    "carboy.shared.stores": "store_at",
}

__all__, __getattr__, __dir__ = lazy_names(__name__, NAMES)
