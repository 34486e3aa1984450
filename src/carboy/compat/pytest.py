"""`pytest -p carboy.compat.pytest`: a test run in which flask and werkzeug mean Carboy.

Test clients take the lane that Carboy's server would take; `--carboy-lane` chooses another.

With -p, on the command line or in `addopts`, pytest imports this module before conftest files and
other plugins. Processes that tests start have the names too, unless CARBOY_COMPAT=0.
"""

from __future__ import annotations

import os
from typing import Any

from carboy.compat import install
from carboy.compat.child.carboy_names import NO, VARIABLE
from carboy.testing.client import LANES, Client

install(children=os.environ.get(VARIABLE, "").lower() not in NO)


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
