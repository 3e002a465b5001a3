"""What ``show`` and ``info`` print on a simulated SR Linux switch."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aibench_lib.virtual_lab.cli.grammar import CliError
from aibench_lib.virtual_lab.gnmi.paths import Elements, covers
from aibench_lib.virtual_lab.srlinux.config import Config
from aibench_lib.virtual_lab.srlinux.state import (
    MODEL,
    SOFTWARE,
    STATE_LISTS,
    address,
    is_up,
    speed,
    state_tree,
)
from aibench_lib.virtual_lab.srlinux.words import ANY, flat, nested, path_of, unknown

if TYPE_CHECKING:
    from aibench_lib.virtual_lab.srlinux.switch import SrlinuxSwitch

_RULE = 80


def show(switch: "SrlinuxSwitch", tokens: Sequence[str]) -> str:
    """Return what a ``show`` command prints.

    Raises:
        CliError: There is no such command.
    """
    words = [token for token in tokens if token != "/"]
    if words == ["version"]:
        return _version(switch)
    if words[:1] == ["interface"]:
        return _interfaces(switch, words[1:])
    if words[:3] == ["system", "lldp", "neighbor"] and (len(words) == 3 or words[3:4] == ["interface"]):
        return _neighbours(switch, words[4:5])
    raise unknown(words[0] if words else "", ["interface", "system", "version"])


def info(config: Config, tokens: Sequence[str], *, is_flat: bool, as_json: bool) -> str:
    """Return a part of a configuration as ``info`` prints it.

    Raises:
        CliError: The path is not in the models.
    """
    path = path_of(tokens, every_key=False)
    if is_flat:
        leaves = {place: value for place, value in config.leaves.items() if covers(path, place)}
        return "".join(f"set / {line}\n" for line in flat(leaves))
    part = Config((), {place: value for place, value in config.leaves.items() if covers(path, place)})
    tree = part.subtree(())
    return f"{json.dumps(tree, indent=2)}\n" if as_json else "".join(f"{line}\n" for line in nested(tree, ""))


def state(switch: "SrlinuxSwitch", tokens: Sequence[str], *, as_json: bool) -> str:
    """Return a part of the state as ``info from state`` prints it.

    Raises:
        CliError: The path is not in the state.
    """
    tree = _selected(state_tree(switch), "", list(tokens))
    if as_json:
        return f"{json.dumps(tree, indent=2)}\n"
    return "".join(f"{line}\n" for line in nested(tree, "", lists=STATE_LISTS))


def _selected(tree: dict[str, object], above: str, rest: list[str]) -> dict[str, object]:
    """Return the part of the state that a path leads to, with what encloses it."""
    if not rest:
        return tree
    name, *rest = rest
    if name not in tree:
        raise unknown(name, list(tree))
    here, inner = f"{above}/{name}", tree[name]
    if isinstance(inner, list):
        keys = STATE_LISTS[here]
        key, rest = (rest[0], rest[1:]) if rest else (ANY, rest)
        entries = [entry for entry in inner if key in (ANY, str(entry[keys[0]]))]
        kept = [
            {**{one: entry[one] for one in keys}, **_selected(_without(entry, keys), here, rest)} for entry in entries
        ]
        return {name: kept}
    if isinstance(inner, dict):
        return {name: _selected(inner, here, rest)}
    if rest:
        raise unknown(rest[0], ["|", ">"])
    return {name: inner}


def _without(entry: dict[str, object], keys: Sequence[str]) -> dict[str, object]:
    return {name: value for name, value in entry.items() if name not in keys}


def difference(before: Config, after: Config) -> str:
    """Return how two configurations differ, a line for each leaf."""
    old, new = flat(before.leaves), flat(after.leaves)
    lines = [f"- / {line}" for line in old if line not in set(new)] + [
        f"+ / {line}" for line in new if line not in set(old)
    ]
    return "".join(f"{line}\n" for line in lines)


def existing(config: Config, path: Elements) -> bool:
    """Whether the list entries on a path are there; a container without keys always is."""
    last = max((end for end, (_, keys) in enumerate(path, 1) if keys), default=0)
    return not last or any(covers(path[:last], place) for place in config.leaves)


def _version(switch: "SrlinuxSwitch") -> str:
    """Return what runs: a simulation, and it says so."""
    facts = {
        "Hostname": switch.name,
        "Chassis Type": MODEL,
        "Part Number": "simulated",
        "Serial Number": "simulated",
        "OS": "SR Linux",
        "Software Version": SOFTWARE,
        "Architecture": "simulated",
    }
    rule = f"{'-' * 52}\n"
    return rule + "".join(f"{name:<21}: {value}\n" for name, value in facts.items()) + rule


def _interfaces(switch: "SrlinuxSwitch", words: Sequence[str]) -> str:
    names = [word for word in words if word not in ("all", "detail", "brief")]
    for name in names:
        if name not in switch.neighbours:
            raise CliError(f"Error: Path '.interface{{.name==\"{name}\"}}' does not specify any existing objects")
    blocks = ["".join(f"{line}\n" for line in _interface(switch, name)) for name in names or switch.neighbours]
    heavy = f"{'=' * _RULE}\n"
    return heavy + f"{'-' * _RULE}\n".join(blocks) + heavy


def _interface(switch: "SrlinuxSwitch", name: str) -> Iterator[str]:
    if not is_up(switch, name):
        reason = "port-admin-disabled" if switch.is_shut(name) else "lower-layer-down"
        yield f"{name} is down, reason {reason}"
        return
    yield f"{name} is up, speed {speed(switch, name)}, type None"
    own = address(switch, name)
    if own is not None:
        yield f"  {name}.0 is up"
        yield "    Network-instances:"
        yield "      * Name: default (default)"
        yield "    Encapsulation   : null"
        yield "    Type            : routed"
        yield f"    IPv4 addr    : {own} (static, preferred, primary)"


def _neighbours(switch: "SrlinuxSwitch", interfaces: Sequence[str]) -> str:
    head = ("Name", "Neighbor", "Neighbor System Name", "Neighbor Chassis ID", "Neighbor Last Update", "Neighbor Port")
    rows = [
        (name, "simulated", port.node, "simulated", "now", port.interface)
        for name, port in switch.neighbours.items()
        if is_up(switch, name) and (not interfaces or name in interfaces)
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    ruled = "  +" + "+".join("-" * (width + 2) for width in widths) + "+\n"
    lines = ["  | " + " | ".join(map(str.ljust, row, widths)) + " |\n" for row in (head, *rows)]
    return ruled + lines[0] + ruled.replace("-", "=") + "".join(lines[1:]) + ruled
