"""One open session with a switch, whatever it speaks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from aibench_lib.platforms import Transport, load_platform
from aibench_lib.switch.cli import CliSwitch
from aibench_lib.switch.gnmi import GnmiSwitch
from aibench_lib.switch.setting import Setting
from aibench_lib.switch.target import Target


class Switch(Protocol):
    """What a transaction needs of a switch; every method raises `LabError` if the switch does not do as told."""

    def read_config(self) -> str:
        """Return the configuration that a restore brings back, as text."""

    def comparable(self, config: str) -> list[str]:
        """Return the lines of a configuration without what differs between two reads of the same one."""

    def read_back(self, setting: Setting) -> Mapping[str, Any]:
        """Return the values of a feature as the switch has them now; None for what it does not have."""

    def apply(self, rendered: str) -> None:
        """Make a rendered change take effect as a whole, or not at all."""

    def restore(self, config: str) -> None:
        """Replace the configuration with one that `read_config` returned, as a whole or not at all."""

    def close(self) -> None:
        """End the session."""


@contextmanager
def connect(target: Target) -> Iterator[Switch]:
    """Open a session and close it at the end.

    Raises:
        LabError: The switch is unreachable, is not who it should be, or refuses the user.
    """
    platform = load_platform(target.platform)
    switch: Switch
    switch = CliSwitch(target, platform) if platform.transport is Transport.NETMIKO else GnmiSwitch(target, platform)
    try:
        yield switch
    finally:
        switch.close()
