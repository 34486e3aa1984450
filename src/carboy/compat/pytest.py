"""`pytest -p carboy.compat.pytest`: a test run in which flask and werkzeug mean Carboy.

Test clients take the lane that Carboy's server would take; `--carboy-lane` chooses another.

With -p, on the command line or in `addopts`, pytest imports this module before conftest files and
other plugins. Processes that tests start have the names too, unless CARBOY_COMPAT=0.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

from carboy.compat import install
from carboy.compat.child.carboy_names import NO, VARIABLE
from carboy.testing.client import LANES, Client

# What `app.run` loads to serve.
SERVER = (
    "carboy.app.commands",
    "carboy.app.lane",
    "carboy.server.admin.unsupervised",
    "carboy.serving.development",
    "carboy.serving.wsgi_server",
)

install(children=os.environ.get(VARIABLE, "").lower() not in NO)


def _load_server() -> None:
    """Load the server, so that servers in forked processes start as quickly as Werkzeug's.

    pytest-flask, Flask-Testing and others fork the tests' process for each server. Without this,
    each of the processes would load the server again.
    """
    if "flask" in sys.modules:
        for name in SERVER:
            import_module(name)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_load_server)


def pytest_addoption(parser: Any) -> None:
    """Add `--carboy-lane`."""
    parser.addoption(
        "--carboy-lane",
        choices=list(LANES),
        default=Client.default_lane,
        help="Lane that test clients take to an application: the one that Carboy's server would"
        " take (server), WSGI as under any other server (wsgi), or the direct lane with the"
        " server's HTTP parser (direct).",
    )


def pytest_configure(config: Any) -> None:
    """Set the lane of all test clients."""
    Client.default_lane = config.getoption("--carboy-lane")
