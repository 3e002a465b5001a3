"""What the simulated fabric is made of: every parameter with its unit and its source, and the DCQCN presets."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aibench_lib.errors import SpecError
from aibench_lib.simulator.nic import Nic
from aibench_lib.simulator.window_control import UetNsccLike
from aibench_lib.spec import build

PRIORITIES = 8
"""Traffic classes per port (IEEE 802.1Q priority code points)."""

MOST_ALPHA = 64
"""Largest share of the free pool a threshold may be; beyond it, none is reached."""


def _require_at_least(record: object, least: int, names: tuple[str, ...]) -> None:
    for name in names:
        value = getattr(record, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}: {value!r} is not an integer of at least {least}")


def _require_one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: {value!r} is not one of {', '.join(known)}")


@dataclass(frozen=True, kw_only=True)
class Dcqcn:
    """The congestion control of the senders and the CNP generation of the receivers.

    "NVIDIA" names the parameter of a ConnectX NIC; the values and where they come from are in :data:`PRESETS`.
    """

    gain: float
    """Weight g of a new sample in alpha (NVIDIA: 1 - dce_tcp_g / 1024)."""
    initial_alpha: float
    """Congestion estimate at a queue pair's first CNP (NVIDIA: initial_alpha_value / 1024)."""
    alpha_period_ns: int
    """Time between updates of alpha [ns] (NVIDIA: dce_tcp_rtt)."""
    cnp_gap_ns: int
    """Least time between two CNPs of a receiving queue pair [ns]; 0 answers every mark (NVIDIA:
    min_time_between_cnps)."""
    cut_period_ns: int
    """Time between checks whether a CNP came and the rate is cut [ns]; 0 cuts at the CNP (NVIDIA:
    rate_reduce_monitor_period)."""
    increase_period_ns: int
    """Time between increases of the rate without a cut [ns] (NVIDIA: rpg_time_reset)."""
    increase_bytes: int
    """Bytes sent between increases of the rate without a cut [B]; 0 is off (NVIDIA: rpg_byte_reset)."""
    fast_recovery_steps: int
    """Increases towards the target rate before the target itself is raised (NVIDIA: rpg_threshold)."""
    additive_increase_bps: int
    """Step of the target rate after fast recovery, R_AI [bit/s] (NVIDIA: rpg_ai_rate)."""
    hyper_increase_bps: int
    """Step of the target rate after that, R_HAI [bit/s] (NVIDIA: rpg_hai_rate)."""
    max_cut: float
    """Largest fraction one cut takes off the rate (NVIDIA: rpg_min_dec_fac)."""
    min_rate_bps: int
    """The rate is never cut below this [bit/s] (NVIDIA: rpg_min_rate)."""
    clamp_target: bool
    """Whether every cut lowers the target to the current rate (NVIDIA: clamp_tgt_rate)."""
    clamp_target_after_timer: bool
    """Whether a cut does so after an increase by the timer, not only by the byte counter (NVIDIA:
    clamp_tgt_rate_after_time_inc)."""

    def __post_init__(self) -> None:
        if not (0 < self.gain <= 1 and 0 <= self.initial_alpha <= 1 and 0 < self.max_cut <= 1):
            raise ValueError("dcqcn: gain and max_cut must be in (0, 1], initial_alpha in [0, 1]")
        _require_at_least(self, 1, ("alpha_period_ns", "increase_period_ns", "min_rate_bps"))
        _require_at_least(
            self,
            0,
            (
                "cnp_gap_ns",
                "cut_period_ns",
                "increase_bytes",
                "fast_recovery_steps",
                "additive_increase_bps",
                "hyper_increase_bps",
            ),
        )


PRESETS: Mapping[str, Dcqcn | UetNsccLike | None] = MappingProxyType(
    {
        # NVIDIA's documentation of the ConnectX congestion control parameters, and a card's listing of its defaults.
        "nvidia-default": Dcqcn(
            gain=5 / 1024,
            initial_alpha=1023 / 1024,
            alpha_period_ns=1_000,
            cnp_gap_ns=4_000,
            cut_period_ns=4_000,
            increase_period_ns=300_000,
            increase_bytes=32_767,
            fast_recovery_steps=1,
            additive_increase_bps=5_000_000,
            hyper_increase_bps=50_000_000,
            max_cut=0.5,
            min_rate_bps=1_000_000,
            clamp_target=False,
            clamp_target_after_timer=True,
        ),
        # Zhu et al., SIGCOMM 2015, the 40 Gb/s testbed. The paper gives no hyper increase (here: as the additive one)
        # and no least rate (here: NVIDIA's).
        "paper-2015": Dcqcn(
            gain=1 / 256,
            initial_alpha=1.0,
            alpha_period_ns=55_000,
            cnp_gap_ns=50_000,
            cut_period_ns=0,
            increase_period_ns=55_000,
            increase_bytes=10_000_000,
            fast_recovery_steps=5,
            additive_increase_bps=40_000_000,
            hyper_increase_bps=40_000_000,
            max_cut=0.5,
            min_rate_bps=1_000_000,
            clamp_target=True,
            clamp_target_after_timer=True,
        ),
        # The "dcqcn" mode of the ns-3 code published with HPCC (Li et al., SIGCOMM 2019), its rate steps (5 and 50 Mb/s
        # per 25 Gb/s) taken at 400 Gb/s.
        "ns3-hpcc": Dcqcn(
            gain=1 / 256,
            initial_alpha=1.0,
            alpha_period_ns=1_000,
            cnp_gap_ns=0,
            cut_period_ns=4_000,
            increase_period_ns=300_000,
            increase_bytes=0,
            fast_recovery_steps=1,
            additive_increase_bps=80_000_000,
            hyper_increase_bps=800_000_000,
            max_cut=0.5,
            min_rate_bps=1_000_000_000,
            clamp_target=False,
            clamp_target_after_timer=True,
        ),
        "uet-nscc-like": UetNsccLike(),
        "off": None,
    }
)
"""Named parameter sets; ``uet-nscc-like`` is not DCQCN but a window; ``off`` sends at line rate, whatever is marked."""


@dataclass(frozen=True)
class Ecn:
    """WRED marking of one egress queue; a step at K where ``kmin_bytes`` equals ``kmax_bytes``.

    Draft: Section 8.1.
    """

    kmin_bytes: int
    """No mark at or below this depth [B]."""
    kmax_bytes: int
    """Every packet is marked above this depth [B]."""
    pmax: float
    """Marking probability at ``kmax_bytes``; it rises from 0 at ``kmin_bytes`` in a straight line."""

    def __post_init__(self) -> None:
        if not 0 <= self.kmin_bytes <= self.kmax_bytes:
            raise ValueError(f"kmin_bytes {self.kmin_bytes} and kmax_bytes {self.kmax_bytes}: need 0 <= kmin <= kmax")
        if not 0 <= self.pmax <= 1:
            raise ValueError(f"pmax {self.pmax}: must be in [0, 1]")


@dataclass(frozen=True)
class Pfc:
    """Priority flow control (IEEE 802.1Qbb) of one priority at one switch port.

    The threshold is either static or dynamic: one of ``xoff_bytes`` and ``alpha`` is None.

    Draft: Section 8.2.
    """

    xoff_bytes: int | None = None
    """XOFF is sent where more than this would wait in the buffer of what came in here [B], as in the draft's PFC
    threshold."""
    alpha: float | None = None
    """XOFF is sent where more than this share of the free shared pool would be taken of it; what is reserved does not
    count."""
    xon_offset_bytes: int = 3072
    """XON is sent this far below the threshold [B], or at nothing, and only with the headroom empty; HPCC's 3 KiB."""
    headroom_bytes: int | None = None
    """Buffer for what still comes after XOFF [B]; None computes it from the link: twice the propagation delay, the
    response time and the frame at line rate, and three full packets, which are the one that calls for XOFF, the one the
    frame waits for, and the one under way at the other end."""
    reserved_bytes: int | None = None
    """Buffer that only this priority at this port may use [B]; None: :attr:`Parameters.reserved_bytes`."""

    def __post_init__(self) -> None:
        if (self.xoff_bytes is None) == (self.alpha is None):
            raise ValueError("pfc: give one of xoff_bytes and alpha")
        if self.alpha is not None and not 0 < self.alpha <= MOST_ALPHA:
            raise ValueError(f"alpha: {self.alpha} is not in (0, {MOST_ALPHA}]")
        given = ("xon_offset_bytes", "xoff_bytes", "headroom_bytes", "reserved_bytes")
        _require_at_least(self, 0, tuple(name for name in given if getattr(self, name) is not None))


@dataclass(frozen=True)
class PfcWatchdog:
    """What a switch does about a queue that a neighbour keeps paused, as SONiC's PFC watchdog does it.

    Draft: Section 8.4.
    """

    detection_ns: int
    """A queue that is paused this long, with packets, has its packets dropped or forwarded [ns]."""
    restoration_ns: int
    """This long without pause, it obeys PFC again [ns]."""
    action: str = "drop"
    """``drop``: the packets in the queue and those that come; ``forward``: send them in spite of the pause."""

    def __post_init__(self) -> None:
        _require_at_least(self, 1, ("detection_ns", "restoration_ns"))
        _require_one_of("action", self.action, ("drop", "forward"))


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The simulated fabric's parameters; the inventory's ``simulation:`` keys."""

    mtu_bytes: int = 4096
    """Payload of a full data packet [B]; the largest RoCE path MTU (InfiniBand specification)."""
    header_bytes: int = 62
    """Ethernet (14) + IPv4 (20) + UDP (8) + base transport header (12) + invariant CRC (4) + frame check sequence (4)
    [B]. Preamble and inter-frame gap (20 B) are left out, as in the public simulators."""
    ack_bytes: int = 64
    """Size of an ACK, NACK or CNP on the wire [B]; the least Ethernet frame."""
    propagation_ns: int = 1_000
    """Delay of a link from its one end to the other [ns]; the public simulators' usual 1 us, which stands for cable,
    transceivers and the switch's pipeline."""
    forwarding: str = "store-and-forward"
    """``store-and-forward``, or ``cut-through``: a switch forwards once the header is in (never onto a faster link)."""
    buffer_bytes: int = 33_554_432
    """Packet buffer of a switch, shared by all its queues [B]; HPCC's 32 MiB."""
    reserved_bytes: int = 4_096
    """Part of ``buffer_bytes`` set aside for each priority of a port that has PFC [B]; HPCC's 4 KiB a port."""
    pause_response_ns: int = 1_158
    """Time from the arrival of a PAUSE frame to its effect [ns]; the most IEEE 802.3 allows at 400 Gb/s, 463,360 bit
    times."""
    pause_quanta: int = 65_535
    """Time a PAUSE frame holds without another, in units of 512 bit times; the most a frame can say. A sender renews a
    pause after half of it."""
    link_detection_ns: int = 10_000_000
    """Time until both ends of a link know that it is down, or up again [ns]; IEEE 802.3 link fault signalling takes
    less, a routing protocol's liveness check (BFD at 3 x 3.3 ms) about this."""
    convergence_ns: int = 100_000_000
    """Time from there until every route follows [ns]; an assumption, the order of BGP in a Clos fabric."""
    hop_limit: int = 64
    """Switches a packet may meet: the next one drops it; the usual initial TTL of IPv4."""
    mark_at: str = "dequeue"
    """Where ECN looks at the queue's depth: ``dequeue`` (HPCC and most switch silicon) or ``enqueue``."""
    control_priority: int = 6
    """The class of ACKs, NACKs and CNPs, served before all data; NVIDIA's default class of CNPs."""
    dcqcn: str | Mapping[str, object] | Dcqcn | UetNsccLike = "nvidia-default"
    """Congestion control: a name in :data:`PRESETS`; or the fields of :class:`Dcqcn` or :class:`UetNsccLike` that
    differ from the preset named by the key ``preset``."""
    nic: Mapping[str, object] | Nic = Nic()  # noqa: RUF009 - frozen
    """The NIC of every host, or the fields of :class:`Nic` that are not as by default."""
    transport: str = "go-back-n"
    """What a sender repeats after a loss: ``go-back-n``, all from the missing packet on; or ``selective-repeat``, what
    is missing, which needs the receiver that keeps the rest."""
    receiver: str = "in-order"
    """Packets after a missing one are dropped (``in-order``), or kept and acknowledged singly (``out-of-order``)."""
    window_packets: int = 1024
    """Packets a sender may be ahead of the first one missing, where the receiver is ``out-of-order``."""
    reordering_ns: int = 20_000
    """A packet counts as lost once one sent this much later was acknowledged, where the receiver is ``out-of-order``
    [ns]; should exceed the difference in queueing delay of the paths a queue pair is sprayed over."""
    retransmit_timeout_ns: int = 67_108_864
    """Time without progress after which a sender goes back to the last unacknowledged packet [ns]; the InfiniBand local
    ACK timeout 4.096 us * 2^14, perftest's default."""
    retransmit_timeout_spread: int = 1
    """A queue pair's own timeout lies between one and this many times ``retransmit_timeout_ns``, drawn once: the
    InfiniBand specification allows one to four times, and NVIDIA's NICs draw it, so that queue pairs that were stopped
    together do not repeat together."""
    nack_gap_ns: int = 500_000
    """Least time between two NACKs for the same missing packet [ns]; HPCC's 500 us."""

    def __post_init__(self) -> None:
        _require_at_least(self, 1, ("mtu_bytes", "ack_bytes", "buffer_bytes", "retransmit_timeout_ns", "nack_gap_ns"))
        _require_at_least(self, 1, ("pause_quanta", "hop_limit", "retransmit_timeout_spread"))
        _require_at_least(self, 0, ("header_bytes", "propagation_ns", "control_priority", "reordering_ns"))
        _require_at_least(self, 2, ("window_packets",))
        _require_at_least(self, 0, ("reserved_bytes", "pause_response_ns", "link_detection_ns", "convergence_ns"))
        if self.control_priority >= PRIORITIES:
            raise ValueError(f"control_priority: {self.control_priority} is not a priority; 0 to {PRIORITIES - 1} are")
        _require_one_of("forwarding", self.forwarding, ("store-and-forward", "cut-through"))
        _require_one_of("mark_at", self.mark_at, ("dequeue", "enqueue"))
        _require_one_of("transport", self.transport, ("go-back-n", "selective-repeat"))
        _require_one_of("receiver", self.receiver, ("in-order", "out-of-order"))
        if self.transport == "selective-repeat" and self.receiver == "in-order":
            raise ValueError("transport: selective-repeat needs receiver: out-of-order")
        _congestion_control(self.dcqcn)
        _nic(self.nic)

    @property
    def nic_profile(self) -> Nic:
        """What every host's NIC adds to its link."""
        return _nic(self.nic)

    @property
    def congestion_control(self) -> Dcqcn | UetNsccLike | None:
        """The congestion control's parameters, None where it is off."""
        return _congestion_control(self.dcqcn)


def _nic(value: Mapping[str, object] | Nic) -> Nic:
    if isinstance(value, Nic):
        return value
    try:
        return build(Nic, value, "nic")
    except SpecError as error:
        raise ValueError(str(error)) from error


def _congestion_control(value: object) -> Dcqcn | UetNsccLike | None:
    if isinstance(value, Dcqcn | UetNsccLike):
        return value
    if isinstance(value, Mapping):
        preset = _congestion_control(str(value.get("preset")))
        if preset is None:
            raise ValueError("dcqcn.preset: off has no parameters to change")
        changes = {key: changed for key, changed in value.items() if key != "preset"}
        try:
            return build(type(preset), dataclasses.asdict(preset) | changes, "dcqcn")
        except SpecError as error:
            raise ValueError(str(error)) from error
    if value is False:  # a bare off in YAML 1.1
        return None
    _require_one_of("dcqcn", value, tuple(PRESETS))
    return PRESETS[str(value)]
