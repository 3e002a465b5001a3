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

    def check_restorable(self, config: str) -> None:
        """Raise an error if nothing could bring a configuration back."""

    def comparable(self, config: str) -> list[str]:
        """Return the lines of a configuration without what differs between two reads of the same one."""

    def read_back(self, setting: Setting) -> Mapping[str, Any]:
        """Return the values of a feature as the switch has them now; None for what it does not have."""

    @property
    def has_dead_man(self) -> bool:
        """Whether the switch can take a change back by itself."""

    def apply(self, rendered: str, change: str, seconds: int | None = None, checkpoint: str | None = None) -> None:
        """Make a rendered change take effect as a whole.

        Args:
            rendered: What its template made of a feature's values.
            change: A name that no other change has.
            seconds: After which the switch takes the change back unless it is confirmed, where it can [s].
            checkpoint: The name of the saved configuration to which it then goes back, where the switch asks.
        """

    def confirm(self, change: str) -> None:
        """Keep a change that the switch would take back."""

    def cancel(self, change: str, checkpoint: str | None = None) -> None:
        """Take back at once a change that was never confirmed; one that is already gone is no error."""

    def checkpoints(self) -> list[str] | None:
        """Return the names of the configurations that the switch has saved; None if it saves none."""

    def save_checkpoint(self, name: str) -> None:
        """Make the switch save its configuration under a name."""

    def roll_back(self, name: str) -> None:
        """Make a saved configuration the running one."""

    def remove_checkpoint(self, name: str) -> None:
        """Make the switch forget a saved configuration."""

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
