"""How a NIC treats priorities: which are lossless, how it tells them apart, and where it reacts to ECN."""

import re
from collections.abc import Iterable, Mapping

from aibench_lib.worker.agent.nic import Nic
from aibench_lib.worker.agent.sources import Sources

_PRIORITIES = range(8)
_CODE_POINTS = 64


def facts(nic: Nic, sources: Sources) -> dict[str, str]:
    """Return what the NIC's driver and tools say; what they do not say is missing.

    ``pfc.priorities`` and ``ecn.priorities`` are as ``3,4``, or ``none``; ``dscp.trust`` is ``dscp`` or ``pcp``;
    ``dscp.map`` is as ``0:0-7 3:24-31``, priority and its code points; ``rdma.traffic_class`` and ``rdma_cm.tos`` are
    set for the whole device, over what a queue pair asks for.
    """
    if not nic.interface:
        return {}
    said = mlnx_qos(sources.output(["mlnx_qos", "-i", nic.interface]))
    if not said:
        said = {
            **dcb_pfc(sources.output(["dcb", "pfc", "show", "dev", nic.interface, "prio-pfc"])),
            **dcb_app(sources.output(["dcb", "-N", "app", "show", "dev", nic.interface, "dscp-prio"])),
            **dcb_trust(sources.output(["dcb", "apptrust", "show", "dev", nic.interface])),
        }
    trust = sources.text(f"sys/class/net/{nic.interface}/qos/trust")
    own = {
        "dscp.trust": trust if trust in ("dscp", "pcp") else "",
        "ecn.priorities": _ecn(nic, sources),
        "rdma.traffic_class": _traffic_class(nic, sources) if nic.device else "",
        "rdma_cm.tos": _configured(nic, sources, "rdma_cm", "default_roce_tos"),
    }
    return {**said, **{name: value for name, value in own.items() if value}}


def mlnx_qos(text: str) -> dict[str, str]:
    """Return the facts in what ``mlnx_qos -i`` prints."""
    trust = re.search(r"^Priority trust state:\s*(\w+)", text, re.MULTILINE)
    enabled = re.search(r"^\s*enabled((?:\s+[01]){8})\s*$", text, re.MULTILINE)
    points = re.findall(r"prio:\s*([0-7])\s+dscp:\s*([\d,\s]+?),?\s*$", text, re.MULTILINE)
    mapping: dict[int, list[int]] = {}
    for priority, numbers in points:
        mapping.setdefault(int(priority), []).extend(int(number) for number in re.findall(r"\d+", numbers))
    return {
        **({"dscp.trust": trust[1]} if trust else {}),
        **({"pfc.priorities": _numbers(_on(enabled[1].split()))} if enabled else {}),
        **({"dscp.map": _mapped(mapping)} if mapping else {}),
    }


def dcb_pfc(text: str) -> dict[str, str]:
    """Return the facts in what ``dcb pfc show`` prints, as ``prio-pfc 0:off 1:off 2:off 3:on ...``."""
    line = re.search(r"prio-pfc((?:\s+[0-7]:(?:on|off))+)", text)
    if not line:
        return {}
    states = dict(pair.split(":") for pair in line[1].split())
    return {"pfc.priorities": _numbers(int(priority) for priority, state in states.items() if state == "on")}


def dcb_app(text: str) -> dict[str, str]:
    """Return the facts in what ``dcb -N app show`` prints, as ``dscp-prio 24:3 26:3``."""
    line = re.search(r"dscp-prio((?:\s+\d+:[0-7])+)", text)
    if not line:
        return {}
    mapping: dict[int, list[int]] = {}
    for point, priority in (pair.split(":") for pair in line[1].split()):
        if int(point) < _CODE_POINTS:
            mapping.setdefault(int(priority), []).append(int(point))
    return {"dscp.map": _mapped(mapping)} if mapping else {}


def dcb_trust(text: str) -> dict[str, str]:
    """Return the facts in what ``dcb apptrust show`` prints, as ``order: dscp pcp``."""
    order = re.search(r"order:?\s+(dscp|pcp)\b", text)
    return {"dscp.trust": order[1]} if order else {}


def _ecn(nic: Nic, sources: Sources) -> str:
    """Return the priorities on which the NIC both answers marks and slows down for answers."""
    folder = f"sys/class/net/{nic.interface}/ecn"
    sides = [[sources.text(f"{folder}/{side}/enable/{n}") for n in _PRIORITIES] for side in ("roce_np", "roce_rp")]
    if any(all(sides_) for sides_ in zip(*sides, strict=True)):
        return _numbers(n for n in _PRIORITIES if all(side[n] == "1" for side in sides))
    enabled = _configured(nic, sources, "bnxt_re", "cc/ecn_enable")
    return {"0x1": "all", "1": "all", "0x0": "none", "0": "none"}.get(enabled, "")


def _configured(nic: Nic, sources: Sources, subsystem: str, name: str) -> str:
    if not nic.device:
        return ""
    return sources.text(f"sys/kernel/config/{subsystem}/{nic.device}/ports/{nic.port}/{name}")


def _traffic_class(nic: Nic, sources: Sources) -> str:
    found = re.search(r"\d+", sources.text(f"sys/class/infiniband/{nic.device}/tc/{nic.port}/traffic_class"))
    return found[0] if found else ""


def _on(flags: Iterable[str]) -> list[int]:
    return [place for place, flag in enumerate(flags) if flag == "1"]


def _numbers(numbers: Iterable[int]) -> str:
    return ",".join(str(number) for number in sorted(numbers)) or "none"


def _mapped(mapping: Mapping[int, Iterable[int]]) -> str:
    return " ".join(f"{priority}:{ranges(points)}" for priority, points in sorted(mapping.items()))


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as ``0-7,26``."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def points_of(ranges_: str) -> set[int]:
    """Return the numbers of :func:`ranges`."""
    found: set[int] = set()
    for span in filter(None, ranges_.split(",")):
        first, _, last = span.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
