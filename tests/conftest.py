"""Settings for all tests."""

import os

from hypothesis import settings

# A shared machine may stall any example, so a time limit would test the machine.  CI tries the same examples at every
# run, so that a change is judged by what it changed; a developer's machine tries new ones.
settings.register_profile("aibench", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("aibench")
