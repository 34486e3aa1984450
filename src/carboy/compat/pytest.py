"""`pytest -p carboy.compat.pytest`: a test run in which flask and werkzeug mean Carboy.

With -p, on the command line or in `addopts`, pytest imports this before conftest files and other
plugins. The processes that tests start have the names too, unless CARBOY_COMPAT=0.
"""

from __future__ import annotations

import os

from carboy.compat import install
from carboy.compat.child.carboy_names import NO, VARIABLE

install(children=os.environ.get(VARIABLE, "").lower() not in NO)
