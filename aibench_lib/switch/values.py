"""What the values of a feature mean on any platform, before one of them is asked."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aibench_lib.errors import SpecError

_ECN = ("kmin_bytes", "kmax_bytes", "probability_percent")
_TIMERS = ("detection_ms", "recovery_ms")


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
    if isinstance(asked["watchdog"], bool):
        asked["watchdog"] = "on" if asked["watchdog"] else "off"  # as YAML reads these two words
    for name in _TIMERS:
        if asked["watchdog"] == "on" and name not in asked:
            raise SpecError(f"pfc_watchdog.{name}: missing; a watchdog that is on needs {' and '.join(_TIMERS)}")
        if asked["watchdog"] == "off" and name in asked:
            raise SpecError(f"pfc_watchdog.{name}: a watchdog that is off has no timers")
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


def _address(kind: Callable[[str], object], value: object, where: str) -> str:
    try:
        return str(kind(str(value)))
    except ValueError as error:
        raise SpecError(f"{where}: {error}") from error


_FEATURES: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "ecn": ecn_values,
    "pfc_watchdog": watchdog_values,
    "routing_detour": detour_values,
}
