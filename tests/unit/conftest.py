from memory_switch import changed, journal, plug

__all__ = ["changed", "journal", "plug"]
"""Fixtures: a switch in memory, and the journal of its run."""
