"""What the values of a feature mean on any platform, before one of them is asked."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aibench_lib.errors import SpecError

_ECN = ("kmin_bytes", "kmax_bytes", "probability_percent")
_TIMERS = ("detection_ms", "recovery_ms")
_PFC_SIZES = ("pfc_threshold_bytes", "alpha", "xon_offset_bytes", "headroom_bytes")


def asked_values(feature: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a feature in the form that platforms know.

    Raises:
        SpecError: A value is missing, given twice, or contradicts another.
    """
    return _FEATURES.get(feature, dict)(values)


def check_whole(where: str, value: object) -> None:
    """Raise `SpecError` unless ``value`` is a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise SpecError(f"{where}: {value!r} is not a whole number")


def ecn_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ECN values as Kmin, Kmax and marking probability.

    ``ecn_threshold_bytes`` alone is a step: nothing is marked below it, everything above.

    Draft: Section 8.1 names one threshold and no probability.

    Raises:
        SpecError: A threshold is missing, given twice, or Kmin is above Kmax.
    """
    asked = dict(values)
    for name, value in asked.items():
        check_whole(f"ecn.{name}", value)
    if "ecn_threshold_bytes" in asked:
        threshold = asked.pop("ecn_threshold_bytes")
        if asked:
            raise SpecError(f"ecn: give ecn_threshold_bytes, or {', '.join(asked)}, not both")
        return {"kmin_bytes": threshold, "kmax_bytes": threshold, "probability_percent": 100}
    for name in _ECN:
        if name not in asked:
            raise SpecError(f"ecn.{name}: missing; give ecn_threshold_bytes, or {', '.join(_ECN)}")
    if asked["kmin_bytes"] > asked["kmax_bytes"]:
        raise SpecError(f"ecn: kmin_bytes {asked['kmin_bytes']} > kmax_bytes {asked['kmax_bytes']}")
    return asked


def watchdog_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the PFC watchdog: its timers belong to one that is on.

    Draft: Section 8.4, whose storm is to be seen with the watchdog and without.

    Raises:
        SpecError: The word or a timer is missing, or a timer is given to a watchdog that is off.
    """
    asked = dict(values)
    if "watchdog" not in asked:
        raise SpecError(f"pfc_watchdog.watchdog: missing; give on (with {' and '.join(_TIMERS)}) or off")
    asked["watchdog"] = _on_or_off(asked["watchdog"])
    for name in _TIMERS:
        if asked["watchdog"] == "on" and name not in asked:
            raise SpecError(f"pfc_watchdog.{name}: missing; a watchdog that is on needs {' and '.join(_TIMERS)}")
        if asked["watchdog"] == "off" and name in asked:
            raise SpecError(f"pfc_watchdog.{name}: a watchdog that is off has no timers")
    return asked


def pfc_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the PFC threshold, of which at least one is needed.

    Raises:
        SpecError: There is none.
    """
    if not set(values) & set(_PFC_SIZES):
        raise SpecError(f"pfc.pfc_threshold_bytes: missing; give one or more of {', '.join(_PFC_SIZES)}")
    return dict(values)


def pfc_priority_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether a priority is lossless, in words.

    Raises:
        SpecError: The word is missing.
    """
    if "pfc" not in values:
        raise SpecError("pfc_priority.pfc: missing; give on or off")
    return {**values, "pfc": _on_or_off(values["pfc"])}


def scheduling_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a queue is served: its weight belongs to one that is weighted.

    Raises:
        SpecError: The word or the weight is missing, or a weight is given to a strict queue.
    """
    asked = dict(values)
    if "scheduling" not in asked:
        raise SpecError("scheduling.scheduling: missing; give strict, or weighted with weight_percent")
    if (asked["scheduling"] == "weighted") != ("weight_percent" in asked):
        raise SpecError("scheduling.weight_percent: give it with weighted, and not with strict")
    return asked


def detour_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return static routes by their prefix: ``{"next_hop": {prefix: address}, "interface": {prefix: name}}``.

    Draft: Section 8.4, whose circular dependency of buffers such a route can close.

    Raises:
        SpecError: There are no routes, or one of them has an unknown, missing or wrong key.
    """
    routes = values.get("routes")
    if set(values) != {"routes"} or not isinstance(routes, Sequence) or isinstance(routes, str) or not routes:
        raise SpecError("routing_detour.routes: give a list of routes with prefix, next_hop and interface, and no more")
    asked: dict[str, Any] = {"next_hop": {}, "interface": {}}
    for number, route in enumerate(routes):
        where = f"routing_detour.routes[{number}]"
        if not isinstance(route, Mapping) or set(route) != {"prefix", "next_hop", "interface"}:
            raise SpecError(f"{where}: a route has prefix, next_hop and interface, and no more")
        prefix = _address(ipaddress.IPv4Network, route["prefix"], f"{where}.prefix")
        if prefix in asked["next_hop"]:
            raise SpecError(f"{where}.prefix: {prefix} has a route already")
        asked["next_hop"][prefix] = _address(ipaddress.IPv4Address, route["next_hop"], f"{where}.next_hop")
        asked["interface"][prefix] = str(route["interface"])
    return asked


def _on_or_off(value: object) -> object:
    """Return the word for what YAML reads ``on`` and ``off`` as."""
    return ("off", "on")[value] if isinstance(value, bool) else value


def _address(kind: Callable[[str], object], value: object, where: str) -> str:
    try:
        return str(kind(str(value)))
    except ValueError as error:
        raise SpecError(f"{where}: {error}") from error


_FEATURES: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "ecn": ecn_values,
    "pfc": pfc_values,
    "pfc_priority": pfc_priority_values,
    "scheduling": scheduling_values,
    "pfc_watchdog": watchdog_values,
    "routing_detour": detour_values,
}
