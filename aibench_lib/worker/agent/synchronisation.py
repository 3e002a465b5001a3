"""What keeps a host's clock, and how far from true it may be: asked of PTP, of chrony, and of the kernel itself."""

import re
from collections.abc import Mapping

from aibench_lib.units import NS_PER_SECOND, NS_PER_US
from aibench_lib.worker.agent.sources import Sources

_PTP_SOCKETS = ("/var/run/ptp4l", "/var/run/ptp4lro")
_OWN_CLOCK = "7F7F0101"
"""Reference of a chrony that follows nothing but the host's own clock."""
_CHRONY_FIELDS = 14
_UNKNOWN_US = 16_000_000
"""The kernel's bound where nothing keeps the clock."""


def facts(sources: Sources) -> dict[str, str]:
    """Return ``clock.source``, ``clock.sync`` (ptp | chrony | ntp | none) and, where known, ``clock.offset_bound_ns``.

    Hosts with one ``clock.id`` are namespaces of one kernel, and have one clock.

    The bound is how far the clock may be from that of its source's: a measured offset with the whole path delay of PTP,
    chrony's own rule (offset, dispersion, half of the delay), or the kernel's ``maxerror``.
    """
    return {
        "clock.source": sources.text("sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "clock.id": sources.text("proc/sys/kernel/random/boot_id"),
        **_kept(sources),
    }


def _kept(sources: Sources) -> dict[str, str]:
    for socket in _PTP_SOCKETS:
        if sources.exists(socket.lstrip("/")):
            asked = ("GET TIME_STATUS_NP", "GET CURRENT_DATA_SET", "GET PORT_DATA_SET")
            bound = ptp_bound_ns(sources.output(["pmc", "-u", "-b", "0", "-s", socket, *asked]))
            if bound is not None:
                return {"clock.sync": "ptp", "clock.offset_bound_ns": str(bound)}
    bound = chrony_bound_ns(sources.output(["chronyc", "-n", "-c", "tracking"]))
    if bound is not None:
        return {"clock.sync": "chrony", "clock.offset_bound_ns": str(bound)}
    kept, error_us = sources.kernel_clock()
    if kept:
        known = {"clock.offset_bound_ns": str(error_us * NS_PER_US)} if 0 < error_us < _UNKNOWN_US else {}
        return {"clock.sync": "ntp", **known}
    return {"clock.sync": "none"}


def ptp_bound_ns(answers: str) -> int | None:
    """Return the bound out of what ``pmc`` printed; None if the clock follows no grandmaster [ns].

    A path that is not symmetric shifts the clock by less than the whole of its delay.
    """
    said = _fields(answers)
    if said.get("gmPresent") != "true" or said.get("portState", "SLAVE") != "SLAVE":
        return None
    try:
        return abs(int(said["master_offset"])) + abs(round(float(said.get("meanPathDelay", "0"))))
    except (KeyError, ValueError):
        return None


def _fields(answers: str) -> Mapping[str, str]:
    return {match[1]: match[2] for match in re.finditer(r"^\s+(\w+)\s+(\S+)\s*$", answers, re.MULTILINE)}


def chrony_bound_ns(line: str) -> int | None:
    """Return the bound out of the line of ``chronyc -c tracking``; None if the clock follows no other one [ns]."""
    fields = line.strip().split(",")
    if len(fields) < _CHRONY_FIELDS or fields[0] == _OWN_CLOCK or fields[-1] == "Not synchronised":
        return None
    try:
        offset, delay, dispersion = (float(fields[place]) for place in (4, 10, 11))
        return round((abs(offset) + dispersion + delay / 2) * NS_PER_SECOND)
    except (ValueError, OverflowError):
        return None
