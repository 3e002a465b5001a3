"""The provenance of facts about switches."""

from enum import StrEnum


class Source(StrEnum):
    """Who says so: the provenance of a group of facts."""

    VENDOR_DOC = "vendor-doc"
    VENDOR_YANG = "vendor-yang"
    THIRD_PARTY = "third-party"
    """Public configurations and generators that were seen to work."""
    RECALLED = "recalled"
    """Known to practitioners, in no document at hand: check it on a device first."""
