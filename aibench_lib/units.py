"""Constants for units; a name says what one of it is worth in the base unit (bytes, bits/s, ns, ps)."""

KB = 1_000
MB = 1_000_000
GB = 1_000_000_000
"""Decimal, as the draft's KPIs in GB/s are; the choice is recorded in ``docs/draft_notes.md``."""

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

BITS_PER_BYTE = 8
GBPS = 1_000_000_000

NS_PER_SECOND = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000
PS_PER_NS = 1_000
PS_PER_US = 1_000_000
PS_PER_SECOND = 1_000_000_000_000
