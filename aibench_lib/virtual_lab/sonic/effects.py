"""What the CONFIG_DB of a simulated switch makes it do."""

import ipaddress
from collections.abc import Iterator

from aibench_lib.errors import SpecError
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.units import NS_PER_MS, NS_PER_US
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.sonic.database import KEY, Row, Tables

_GENERATED = {"dynamic_th": "-3", "xon_offset": "2288"}
"""What the buffer manager makes of a lossless priority group that nobody has given a profile; its headroom follows from
the port's speed and the cable."""
_DEFAULT_FLOWLET_US = "256"
_HIGHEST_EXPONENT = 6
_MODES = {"per_flowlet_quality": "flowlet", "per_packet_quality": "least_queue"}


def ecn(tables: Tables, interface: str, queue: int) -> Ecn | None:
    """Return the marking at a queue: by the green thresholds of its profile, as RoCE is green."""
    name = _row_of(tables, "QUEUE", interface, queue).get("wred_profile")
    profile = tables.get("WRED_PROFILE", {}).get(str(name), {})
    marking = str(profile.get("ecn", "ecn_none"))
    if marking != "ecn_all" and "green" not in marking:
        return None
    prefix, share = ("ecn_green", "ecn_green_mark_probability")
    if "ecn_green_max_threshold" not in profile:
        if profile.get("wred_green_enable") != "true":
            return None
        prefix, share = "green", "green_drop_probability"
    low, high = profile.get(f"{prefix}_min_threshold"), profile.get(f"{prefix}_max_threshold")
    if low is None or high is None:
        return None
    return Ecn(kmin_bytes=_int(low), kmax_bytes=_int(high), pmax=_int(profile.get(share, "100")) / 100)


def pfc(tables: Tables, interface: str, priority: int) -> Pfc | None:
    """Return when an interface pauses its neighbour's traffic class, or None: the class is not lossless there.

    Raises:
        SpecError: Its alpha is beyond what is simulated.
    """
    maps = tables.get("PORT_QOS_MAP", {}).get(interface, {})
    if str(priority) not in str(maps.get("pfc_enable", "")).split(","):
        return None
    groups = tables.get("TC_TO_PRIORITY_GROUP_MAP", {}).get(str(maps.get("tc_to_pg_map")), {})
    group = _int(groups.get(str(priority), str(priority)))
    name = str(_row_of(tables, "BUFFER_PG", interface, group).get("profile", "NULL"))
    profile = tables.get("BUFFER_PROFILE", {}).get(name, _GENERATED)
    made_by_hand = profile is not _GENERATED
    size = _int(profile.get("size", "0"))
    exponent = None if "static_th" in profile else _int(profile.get("dynamic_th", "0"))
    if exponent is not None and exponent > _HIGHEST_EXPONENT:
        raise SpecError(f"{interface}: dynamic_th {exponent} is not simulated; the highest is {_HIGHEST_EXPONENT}")
    return Pfc(
        xoff_bytes=size + _int(profile["static_th"]) if exponent is None else None,
        alpha=None if exponent is None else 2.0**exponent,
        xon_offset_bytes=_int(profile.get("xon_offset", "0")),
        headroom_bytes=_int(profile.get("xoff", "0")) if made_by_hand else None,
        reserved_bytes=size if made_by_hand else None,
    )


def watchdog(tables: Tables, interface: str) -> PfcWatchdog | None:
    """Return what an interface does about a queue that stays paused, or None: nothing, or a report."""
    row = tables.get("PFC_WD", {}).get(interface, {})
    action = str(row.get("action", "drop"))
    if "detection_time" not in row or action == "alert":
        return None
    detection = _int(row["detection_time"])
    restoration = _int(row["restoration_time"]) if "restoration_time" in row else 2 * detection
    return PfcWatchdog(detection * NS_PER_MS, restoration * NS_PER_MS, action)


def load_balancing(tables: Tables) -> LoadBalancing:
    """Return how the switch chooses among equal paths: by a hash, or by the ports' load where ARS is on.

    The simulator's hash is one of the 5-tuple, whatever SWITCH_HASH says.

    Raises:
        SpecError: ARS is on for some ports only.
    """
    for profile in tables.get("ARS_PROFILE", {}).values():
        if profile.get("ars_nhg_path_selector_mode", "interface") != "global":
            if tables.get("ARS_INTERFACE"):
                raise SpecError("ARS_PROFILE: only ars_nhg_path_selector_mode global is simulated")
            continue
        row = tables.get("ARS_OBJECT", {}).get(str(profile.get("default_ars_object")))
        if row is not None:
            mode = _MODES[str(row.get("assign_mode", "per_flowlet_quality"))]
            gap_us = _int(row.get("flowlet_idle_time", _DEFAULT_FLOWLET_US))
            return LoadBalancing(mode=mode, flowlet_gap_ns=gap_us * NS_PER_US)
    return LoadBalancing(mode="ecmp")


def addresses(tables: Tables) -> dict[str, ipaddress.IPv4Interface]:
    """Return the interfaces that have an IPv4 address."""
    pairs = (key.split(KEY) for key in tables.get("INTERFACE", {}) if KEY in key)
    return {port: ipaddress.IPv4Interface(address) for port, address in pairs if ":" not in address}


def static_routes(tables: Tables) -> Iterator[StaticRoute]:
    """Yield the static routes of the default VRF, one a next hop."""
    for key, row in tables.get("STATIC_ROUTE", {}).items():
        *vrf, prefix = key.split(KEY)
        if vrf not in ([], ["default"]) or ":" in prefix:
            continue
        hops, ports = str(row.get("nexthop", "")).split(","), str(row.get("ifname", "")).split(",")
        for number, hop in enumerate(hops):
            port = ports[number] if number < len(ports) else ""
            if hop and hop != "0.0.0.0":
                yield StaticRoute(ipaddress.IPv4Network(prefix), ipaddress.IPv4Address(hop), port or None)


def is_shut(tables: Tables, interface: str) -> bool:
    """Whether an interface is administratively down, as one is that nobody has put up."""
    return tables.get("PORT", {}).get(interface, {}).get("admin_status", "down") != "up"


def _row_of(tables: Tables, table: str, interface: str, number: int) -> Row:
    """Return the fields of the rows whose key ends in a range with a number in it, such as ``Ethernet0|3-4``."""
    found: Row = {}
    for key, row in tables.get(table, {}).items():
        port, _, numbers = key.partition(KEY)
        low, _, high = numbers.partition("-")
        if port == interface and int(low) <= number <= int(high or low):
            found |= row
    return found


def _int(value: object) -> int:
    return int(str(value))
