"""The ``tools`` commands of a simulated SR Linux switch: checkpoints and confirmed commits."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aibench_lib.virtual_lab.srlinux.words import unknown

if TYPE_CHECKING:
    from aibench_lib.virtual_lab.srlinux.switch import SrlinuxSwitch


def _generate(switch: "SrlinuxSwitch", words: Sequence[str]) -> str:
    given = dict(zip(words[::2], words[1::2], strict=False))
    wrong = [word for word in given if word not in ("name", "comment")]
    if wrong or len(words) % 2:
        raise unknown((wrong or list(words))[-1], ["comment", "name"])
    name = given.get("name") or f"checkpoint-{len(switch.checkpoints)}"
    switch.save_checkpoint(name)
    file = "/etc/opt/srlinux/checkpoint/checkpoint-0.json"
    return f"/system:\n    Generated checkpoint '{file}' with name '{name}' and comment '{given.get('comment', '')}'\n"


def _checkpoint(switch: "SrlinuxSwitch", words: Sequence[str]) -> str:
    if len(words) != 2 or words[1] not in ("revert", "clear"):
        raise unknown(words[-1] if words else "", ["clear", "revert"])
    config = switch.checkpoint(words[0])
    where = f"/system/configuration/checkpoint[id={words[0]}]:\n"
    if words[1] == "clear":
        switch.checkpoints = {name: kept for name, kept in switch.checkpoints.items() if kept is not config}
        return f"{where}    Cleared checkpoint '{words[0]}'\n"
    switch.revert(config)
    return f"{where}    Reverting to checkpoint '{words[0]}'\n\n/:\n    Successfully reverted configuration\n"


def _accept(switch: "SrlinuxSwitch", _: Sequence[str]) -> str:
    switch.confirm()
    return "/system:\n    Commit confirmed accepted\n"


def _reject(switch: "SrlinuxSwitch", _: Sequence[str]) -> str:
    switch.reject()
    return "/system:\n    Commit confirmed rejected\n"


def _candidate(switch: "SrlinuxSwitch", words: Sequence[str]) -> str:
    if len(words) != 2 or words[1] != "clear":
        raise unknown(words[-1] if words else "", ["clear"])
    switch.clear_candidate(words[0])
    return f"/system/configuration/candidate[name={words[0]}]:\n    Cleared candidate '{words[0]}'\n"


def _save(switch: "SrlinuxSwitch", _: Sequence[str]) -> str:
    switch.startup = switch.running.copy()
    return "/system:\n    Saved current running configuration as initial (startup) configuration\n"


_WHERE = ("system", "configuration")
TOOLS: Sequence[tuple[tuple[str, ...], Callable[["SrlinuxSwitch", Sequence[str]], str]]] = (
    ((*_WHERE, "generate-checkpoint"), _generate),
    ((*_WHERE, "checkpoint"), _checkpoint),
    ((*_WHERE, "confirmed-accept"), _accept),
    ((*_WHERE, "confirmed-reject"), _reject),
    ((*_WHERE, "candidate"), _candidate),
    ((*_WHERE, "save"), _save),
)
"""How a command begins, and what it does with the rest."""
