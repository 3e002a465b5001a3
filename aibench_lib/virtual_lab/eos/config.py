"""What the lines of an EOS configuration mean, as far as more than one part asks."""

import copy

from aibench_lib.simulator import Ecn
from aibench_lib.virtual_lab.cli.grammar import forms, identity
from aibench_lib.virtual_lab.cli.lines import Config as Lines
from aibench_lib.virtual_lab.cli.lines import Line
from aibench_lib.virtual_lab.eos.commands import COMMANDS, DEFAULT_HASH, ECN, threshold_bytes


class Config(Lines):
    """A whole configuration."""

    def __init__(self) -> None:
        super().__init__(COMMANDS)

    def copy(self) -> "Config":
        """Return an independent copy."""
        other = Config()
        other.root = copy.deepcopy(self.root)
        return other

    def empty(self) -> "Config":
        """Return a configuration in which nothing stands."""
        return Config()

    def blocks(self) -> list[list[str]]:
        """Return the canonical text, one block a top-level line, without the defaults that the switch does not show."""
        return [block for block in super().blocks() if block != [DEFAULT_HASH]]

    @property
    def hostname(self) -> str:
        """The configured host name."""
        line = self.root.children.get("hostname")
        return line.values["name"] if line else "localhost"

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""
        line = self.root.children.get(f"interface {interface}")
        return line is not None and "shutdown" in line.children

    def blocks_of(self, interface: str) -> list[Line]:
        """Return what is configured of an interface: its own block and that of its profile, as far as there are any."""
        port = self.root.children.get(f"interface {interface}")
        if port is None:
            return []
        bound = port.children.get("service-profile")
        profile = self.root.children.get(f"qos profile {bound.values['profile']}") if bound else None
        return [port] if profile is None else [port, profile]

    def ecn(self, interface: str, queue: int) -> tuple[str, Ecn] | None:
        """Return the profile and the marking that take effect on a queue of an interface, or None: no marking."""
        port = self.root.children.get(f"interface {interface}")
        bound = port.children.get("service-profile") if port else None
        name = bound.values["profile"] if bound else ""
        profile = self.root.children.get(f"qos profile {name}")
        block = profile.children.get(f"uc-tx-queue {queue}") if profile else None
        line = block.children.get(identity(forms(ECN)[0], ECN.split())) if block else None
        if line is None:
            return None
        values = line.values
        marking = Ecn(
            kmin_bytes=threshold_bytes(values, "min"),
            kmax_bytes=threshold_bytes(values, "max"),
            pmax=int(values["probability"]) / 100,
        )
        return name, marking
