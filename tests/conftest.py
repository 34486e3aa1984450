"""What all tests share: how Hypothesis chooses its examples."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# The same examples in every run, so that a change is judged by itself and not by luck, and no
# deadlines, so that a loaded machine judges nothing. HYPOTHESIS_PROFILE=explore looks for new
# ones; what it finds becomes an @example or a test of its own.
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
