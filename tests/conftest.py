"""Settings for all tests: how Hypothesis chooses examples, and how tests that hang end."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from timeouts import pytest_timeout_set_timer  # noqa: F401 - a hook of pytest-timeout

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
