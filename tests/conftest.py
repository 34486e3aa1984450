"""Settings for all tests: Hypothesis, workers, tests that hang, Chromium, who leads ASGI."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, settings

from chromium import pytest_runtest_teardown  # noqa: F401 - a hook of pytest
from scheduling import (  # noqa: F401 - hooks of pytest
    pytest_collection,
    pytest_collection_modifyitems,
    pytest_runtestloop,
    pytest_xdist_make_scheduler,
)
from timeouts import (  # noqa: F401 - hooks of pytest
    pytest_configure,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
    pytest_sessionfinish,
    pytest_timeout_set_timer,
)
from werkzeug_rules import compile_later

compile_later()

if "PYTEST_XDIST_WORKER" in os.environ:
    # For the programs that tests start: Python takes a file that was changed within a second, and
    # has the same size, for the one that was compiled. What this process imports is still kept.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

# Servers of tests write reports of workers that crash: not into the folder of the user.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="carboy-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# And the code of templates.
os.environ["XDG_CACHE_HOME"] = os.environ["XDG_STATE_HOME"]

# The same examples in every run, so that results depend on the code only, and no deadlines, so that
# they do not depend on the load of the machine. HYPOTHESIS_PROFILE=explore tries new examples; add
# what it finds as an @example or as a test.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(params=["loop", "thread"])
def led_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The leader of an ASGI application has the loop's thread, or a thread of its own.

    It has one of its own for mounted applications and in portable engines.
    """
    if request.param == "thread":
        monkeypatch.setattr("live_asgi.trace", lambda: None)
    return str(request.param)
