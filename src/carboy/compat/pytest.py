"""`pytest -p carboy.compat.pytest`: a test run in which flask and werkzeug mean Carboy."""

from __future__ import annotations

from carboy.compat import install

# With -p on the command line pytest imports this before conftest files and other plugins.
install()
