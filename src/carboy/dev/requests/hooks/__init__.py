"""Recorded calls of other packages: SQL, caches, outgoing HTTP, templates and views.

No package is imported for this. A package that the application has imported is patched by `watch`,
and one that it imports later, when its import ends. Without a request in the current context, a
patched function only calls the original.
"""

from __future__ import annotations

import logging
import sys
import threading
import weakref
from collections.abc import Callable

from carboy.dev.requests.hooks import cache, http, postgres, sql, templates, views
from carboy.dev.requests.hooks.imports import ImportHook
from carboy.dev.requests.hooks.patches import Patches

# module: the function that patches it
HOOKS: dict[str, Callable[[Patches], None]] = {
    "sqlite3": sql.watch_sqlite,
    "sqlalchemy": sql.watch_sqlalchemy,
    "psycopg": postgres.watch_psycopg,
    "psycopg2": postgres.watch_psycopg2,
    "aiosqlite": sql.watch_aiosqlite,
    "http.client": http.watch_http_client,
    "urllib3": http.watch_urllib3,
    "httpcore": http.watch_httpcore,
    "flask_caching": cache.watch_flask_caching,
    "django.core.cache": cache.watch_django,
    "django.template": templates.watch_django,
    "jinja2": templates.watch_jinja,
    "django.core.handlers.base": views.watch_django,
}

log = logging.getLogger("carboy.dev")
_patches = Patches()
_lock = threading.Lock()
_users = 0


def _patch(name: str) -> None:
    try:
        HOOKS[name](_patches)
    except Exception as error:  # another version, or something else of this name
        log.warning("The list of requests cannot record calls of %s: %r.", name, error)


_hook = ImportHook(HOOKS, _patch)


def watch(user: object) -> None:
    """Patch packages until `user` is no longer referenced, and neither are others."""
    global _users
    weakref.finalize(user, _release).atexit = False
    with _lock:
        _users += 1
        if _users > 1:
            return
        sys.meta_path.insert(0, _hook)
        for name in HOOKS:
            if name in sys.modules:
                _patch(name)


def _release() -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            if _hook in sys.meta_path:
                sys.meta_path.remove(_hook)
            _patches.undo()
