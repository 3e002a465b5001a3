"""Table 4: fabric-level KPIs, from counters and transfer samples, in the table's own units."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aibench_lib.errors import TrialError, UndefinedKpi
from aibench_lib.units import BITS_PER_BYTE, NS_PER_SECOND, NS_PER_US

PERCENT = 100
PER_MILLION = 1_000_000


def ecn_marking_rate(marked_packets: int, transmitted_packets: int) -> float:
    """Return the share of packets that left the port marked ECN-CE [%].

    Draft: Section 4.3, Table 4.

    Args:
        marked_packets: Growth of the port's counter of marked packets in the trial, one traffic class.
        transmitted_packets: Growth of its counter of transmitted packets, same class and time.

    Raises:
        UndefinedKpi: Nothing was transmitted.
        TrialError: More packets were marked than transmitted, or a counter went backwards.
    """
    _check_growth("marked", marked_packets)
    _check_growth("transmitted", transmitted_packets)
    if transmitted_packets == 0:
        raise UndefinedKpi("ECN_marking_rate: no packet was transmitted")
    if marked_packets > transmitted_packets:
        raise TrialError(
            f"the counters disagree: {marked_packets} packets marked, only {transmitted_packets} transmitted"
        )
    return PERCENT * marked_packets / transmitted_packets


def packet_drop_rate(dropped_packets: int, transmitted_packets: int) -> float:
    """Return packets dropped per million packets offered, which are those dropped and those transmitted [ppm].

    Draft: Section 4.3, Table 4.

    Args:
        dropped_packets: Growth of the ports' drop counters in the trial.
        transmitted_packets: Growth of the same ports' counters of transmitted packets.

    Raises:
        UndefinedKpi: No packet was offered.
        TrialError: A counter went backwards.
    """
    _check_growth("dropped", dropped_packets)
    _check_growth("transmitted", transmitted_packets)
    offered = dropped_packets + transmitted_packets
    if offered == 0:
        raise UndefinedKpi("Packet_drop_rate: no packet was offered")
    return PER_MILLION * dropped_packets / offered


def buffer_utilization(used_bytes: ArrayLike, size_bytes: int) -> float:
    """Return the peak share of the switch's packet buffer in use [%].

    Draft: Section 4.3, Table 4.

    Args:
        used_bytes: Buffer use over the trial, sampled or as a high-water mark, shape ``(n,)``.
        size_bytes: Size of the same buffer.

    Raises:
        UndefinedKpi: There is no sample, or the size of the buffer is not known.
    """
    used = np.asarray(used_bytes, dtype=np.int64).ravel()
    if used.size == 0:
        raise UndefinedKpi("Buffer_utilization: the switch reported no buffer use")
    if size_bytes <= 0:
        raise UndefinedKpi("Buffer_utilization: the size of the switch's buffer is not known")
    return PERCENT * int(used.max()) / size_bytes


def link_utilization(time_ns: ArrayLike, transmitted_bytes: ArrayLike, bps: int) -> NDArray[np.float64]:
    """Return the utilisation of a link in each interval between two readings of its byte counter [%].

    Table 4 wants the average and the peak: the time-weighted mean and the maximum of these.  Preamble and inter-packet
    gap are not in byte counters, so a saturated link stays a little below 100 %.

    Draft: Section 4.3, Table 4.

    Args:
        time_ns: When the counter was read, rising, shape ``(n,)``.
        transmitted_bytes: The counter, same shape.
        bps: Line rate of the link [bit/s].

    Returns:
        Utilisation by interval, shape ``(n - 1,)``.

    Raises:
        UndefinedKpi: Fewer than two readings.
        TrialError: Time or the counter went backwards.
    """
    seconds = np.diff(np.asarray(time_ns, dtype=np.int64)) / NS_PER_SECOND
    grown = np.diff(np.asarray(transmitted_bytes, dtype=np.int64))
    if seconds.size == 0:
        raise UndefinedKpi("Link_utilization: fewer than two readings of the byte counter")
    if (seconds <= 0).any() or (grown < 0).any():
        raise TrialError("Link_utilization: the byte counter or its clock went backwards in the trial")
    return np.asarray(PERCENT * BITS_PER_BYTE * grown / (seconds * bps), dtype=np.float64)


def fabric_fct(posted_ns: ArrayLike, completed_ns: ArrayLike) -> NDArray[np.float64]:
    """Return each transfer's flow completion time, from its posting to its completion [us].

    Both stamps are of one host's clock: the sender's completion includes the way of the last acknowledgement.

    Draft: Section 4.3, Table 4.

    Args:
        posted_ns: When each transfer was handed to the transport, shape ``(n,)``.
        completed_ns: When it was reported complete, same shape.

    Raises:
        TrialError: A transfer completed before it was posted.
    """
    took = np.asarray(completed_ns, dtype=np.int64) - np.asarray(posted_ns, dtype=np.int64)
    if (took < 0).any():
        raise TrialError("Fabric_FCT: a transfer completed before it was posted; check the host's clock")
    return np.asarray(took / NS_PER_US, dtype=np.float64)


def _check_growth(name: str, growth: int) -> None:
    if growth < 0:
        raise TrialError(f"the counter of {name} packets went backwards by {-growth} in the trial")
