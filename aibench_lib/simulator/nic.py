"""What a host's NIC adds to its link: a cost per message, the bus behind it, and how many queue pairs it holds."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Nic:
    """The NIC of every host; its line rate is that of its link. The defaults add nothing."""

    message_overhead_ns: int = 0
    """Time a queue pair takes up a message before its first packet, be it posted to an idle queue pair or next in
    turn [ns]."""
    pcie_bps: int | None = None
    """Rate at which the NIC fetches what it sends [bit/s]; it sends no faster than that. None is no limit."""
    max_qps: int | None = None
    """Queue pairs a NIC can hold, sending and receiving ones; None is no limit."""

    def __post_init__(self) -> None:
        for name, least in (("message_overhead_ns", 0), ("pcie_bps", 1), ("max_qps", 1)):
            value = getattr(self, name)
            if value is None and name != "message_overhead_ns":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"nic.{name}: {value!r} is not an integer of at least {least}")
