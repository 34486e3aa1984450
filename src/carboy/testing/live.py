"""An application on a real socket while a test runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from carboy.serving.wsgi_server import make_server


@contextmanager
def live_server(app: Any, host: str = "127.0.0.1", **options: Any) -> Iterator[str]:
    """Serve `app` in a thread on a free port, until the `with` block ends.

    Yields the URL without a slash at its end. The options are those of `make_server`.
    """
    server = make_server(host, 0, app, **options)
    server.access_log = False  # the test decides what is printed
    thread = threading.Thread(target=server.serve_forever, name="live server", daemon=True)
    thread.start()
    try:
        # The socket listens already, so early connections wait for the thread.
        yield f"http://{f'[{host}]' if ':' in host else host}:{server.port}"
    finally:
        server.shutdown()  # returns after the graceful timeout at the latest; then the thread ends
        thread.join()
        server.server_close()
