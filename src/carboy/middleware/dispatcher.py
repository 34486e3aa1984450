"""Several applications in one, chosen by the first parts of the path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["DispatcherMiddleware"]


class DispatcherMiddleware:
    """Passes a request to the application with the longest prefix of its path, or to `app`.

    `mounts` maps prefixes to applications. The prefix is moved from PATH_INFO to SCRIPT_NAME
    (PEP 3333).
    """

    def __init__(self, app: Any, mounts: Mapping[str, Any] | None = None) -> None:
        self.app = app
        self.mounts = mounts or {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        script, rest = environ.get("PATH_INFO", ""), ""
        while "/" in script:
            app = self.mounts.get(script)
            if app is not None:
                break
            script, _, last = script.rpartition("/")
            rest = f"/{last}{rest}"
        else:
            app = self.mounts.get(script, self.app)
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + script
        environ["PATH_INFO"] = rest
        return app(environ, start_response)  # type: ignore[no-any-return]
