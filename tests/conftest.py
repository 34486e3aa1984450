"""How Hypothesis runs in every test."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: a busy machine is no failure. The same inputs each time, so that a green suite
# stays green; CARBOY_EXPLORE=1 looks for new ones, and more of them.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("explore" if os.environ.get("CARBOY_EXPLORE") else "steady")
