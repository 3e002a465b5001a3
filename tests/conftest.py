"""Settings for all tests."""

from hypothesis import settings

# A shared machine may stall any example; a time limit would test the machine.
settings.register_profile("aibench", deadline=None)
settings.load_profile("aibench")
