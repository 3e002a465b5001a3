"""What a simulated EOS switch shows of its sessions and checkpoints, laid out as in public records of real ones."""

from typing import Any

from aibench_lib.virtual_lab.cli.grammar import Match
from aibench_lib.virtual_lab.credentials import USERNAME
from aibench_lib.virtual_lab.eos.show import table
from aibench_lib.virtual_lab.eos.switch import EosSwitch

_MAX_SESSIONS = 5
"""Of each kind, as the vendor has set it; the simulated switch holds any number."""


def sessions(switch: EosSwitch, _: Match[Any]) -> str:
    """Return the sessions that are open or wait to be confirmed."""
    rows = [(name, session.state, USERNAME, "") for name, session in sorted(switch.open_sessions().items())]
    limits = "".join(f"Maximum number of {kind} sessions: {_MAX_SESSIONS}\n" for kind in ("completed", "pending"))
    return f"{limits}\n{table(('Name', 'State', 'User', 'Terminal'), rows)}"


def checkpoints(switch: EosSwitch, _: Match[Any]) -> str:
    """Return the saved checkpoints."""
    dates = switch.checkpoint_dates
    rows = [(name, f"{dates[name]:%Y-%m-%d %H:%M:%S}", USERNAME) for name in sorted(switch.checkpoints)]
    return f"Maximum number of checkpoints: {switch.max_checkpoints}\n{table(('Filename', 'Date', 'User'), rows)}"
