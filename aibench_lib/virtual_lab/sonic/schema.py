"""The tables of CONFIG_DB that the simulated switch knows: fields, types and ranges, as the models have them.

Only what an operator of this lab or a benchmark needs is here; the names and limits are those of SONiC's YANG models.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

UINT64 = (0, (1 << 64) - 1)
UINT32 = (0, (1 << 32) - 1)
UINT16 = (0, (1 << 16) - 1)


@dataclass(frozen=True)
class Number:
    """A whole number."""

    low: int
    high: int


@dataclass(frozen=True)
class Word:
    """One of an enumeration; with ``many`` a list of them."""

    words: tuple[str, ...]
    many: bool = False


@dataclass(frozen=True)
class Text:
    """What matches a regular expression."""

    pattern: str = r"[\s\S]*"


@dataclass(frozen=True)
class Reference:
    """The key of a row of another table, or what matches ``instead``."""

    table: str
    path: str
    instead: str = ""


Kind = Number | Word | Text | Reference
Fields = Mapping[str, Kind]


@dataclass(frozen=True)
class Rows:
    """The rows of a table whose keys have the same parts."""

    name: str
    """What the model calls the list."""
    key: tuple[Kind, ...]
    fields: Fields = field(default_factory=lambda: MappingProxyType({}))
    mandatory: tuple[str, ...] = ()
    others: tuple[Kind, Kind] | None = None
    """Of any further field: its name and its value, as in a map."""


def _rows(table: str, *key: Kind, mandatory: tuple[str, ...] = (), **fields: Kind) -> Rows:
    return Rows(f"{table}_LIST", key, fields, mandatory)


def _map(table: str, entry: Kind, value: Kind) -> Rows:
    return Rows(f"{table}_LIST", (_NAME,), others=(entry, value))


def _reference(table: str, module: str, key: str = "name", instead: str = "") -> Reference:
    return Reference(table, f"/{module}:{module}/{module}:{table}/{module}:{table}_LIST/{module}:{key}", instead)


_ANY = Text()
_NAME = Text(r"[a-zA-Z0-9][-a-zA-Z0-9_]{0,31}")
_BOOLEAN = Word(("true", "false"))
_PREFIX = Text(r"(\d+\.\d+\.\d+\.\d+/\d+|[0-9a-fA-F:]+/\d+)")
_RANGE = r"\d+(-\d+)?"
_PRIORITIES = Text(r"([0-7](,[0-7])*)?")
_CLASS = Number(0, 15)
_SIZE = Number(*UINT64)
_PERCENT = Number(0, 100)
_ON_OFF = Word(("on", "off"))
_UP_DOWN = Word(("up", "down"))
_PORT = _reference("PORT", "sonic-port")
_SCHEDULER = _reference("SCHEDULER", "sonic-scheduler")
_ARS_OBJECT = _reference("ARS_OBJECT", "sonic-ars", "ars_obj_name")
_HASH = Word(
    (
        *("IN_PORT", "DST_MAC", "SRC_MAC", "ETHERTYPE", "VLAN_ID", "IP_PROTOCOL", "DST_IP", "SRC_IP", "L4_DST_PORT"),
        *("L4_SRC_PORT", "INNER_DST_MAC", "INNER_SRC_MAC", "INNER_ETHERTYPE", "INNER_IP_PROTOCOL", "INNER_DST_IP"),
        *("INNER_SRC_IP", "INNER_L4_DST_PORT", "INNER_L4_SRC_PORT", "IPV6_FLOW_LABEL", "RDMA_BTH_OPCODE"),
        "RDMA_BTH_DEST_QP",
    ),
    many=True,
)
_ALGORITHM = Word(("CRC", "XOR", "RANDOM", "CRC_32LO", "CRC_32HI", "CRC_CCITT", "CRC_XOR"))
_ECN = Word(
    (
        *("ecn_none", "ecn_green", "ecn_yellow", "ecn_red", "ecn_green_yellow", "ecn_green_red", "ecn_yellow_red"),
        "ecn_all",
    )
)
_COLOURS = ("green", "yellow", "red")
_ROUTE = {
    "nexthop": _ANY,
    "ifname": _ANY,
    "advertise": Text("((true|false),)*(true|false)"),
    "bfd": Text("((true|false),)*(true|false)"),
}


def _wred() -> dict[str, Kind]:
    fields: dict[str, Kind] = {"ecn": _ECN}
    for colour in _COLOURS:
        fields |= {
            f"wred_{colour}_enable": _BOOLEAN,
            f"{colour}_min_threshold": _SIZE,
            f"{colour}_max_threshold": _SIZE,
            f"{colour}_drop_probability": _PERCENT,
            f"ecn_{colour}_min_threshold": _SIZE,
            f"ecn_{colour}_max_threshold": _SIZE,
            f"ecn_{colour}_mark_probability": _PERCENT,
        }
    return fields


def _hash() -> dict[str, Kind]:
    traffic = ("", "_ipv4", "_ipv6", "_ipnip", "_ipv4_rdma", "_ipv6_rdma")
    fields: dict[str, Kind] = {f"{which}_hash{what}": _HASH for which in ("ecmp", "lag") for what in traffic}
    return {**fields, "ecmp_hash_algorithm": _ALGORITHM, "lag_hash_algorithm": _ALGORITHM}


def _load() -> dict[str, Kind]:
    limits = {
        f"{when}_load_{which}_value": Number(*UINT16)
        for when in ("past", "future", "current")
        for which in ("min", "max")
    }
    return {**limits, "past_load_weight": Number(*UINT16), "future_load_weight": Number(*UINT16)}


TABLES: Mapping[str, tuple[Rows, ...]] = {
    "DEVICE_METADATA": (
        Rows(
            "localhost",
            (Word(("localhost",)),),
            {
                **dict.fromkeys(("hostname", "hwsku", "platform", "mac", "type", "bgp_asn", "deployment_id"), _ANY),
                "buffer_model": Word(("traditional", "dynamic")),
                "default_pfcwd_status": Word(("enable", "disable")),
                "docker_routing_config_mode": _ANY,
                "synchronous_mode": Word(("enable", "disable")),
                "yang_config_validation": Word(("enable", "disable")),
            },
        ),
    ),
    "DEVICE_NEIGHBOR": (_rows("DEVICE_NEIGHBOR", _PORT, name=_ANY, port=_ANY),),
    "PORT": (
        _rows(
            "PORT",
            Text(r"Ethernet\d+"),
            mandatory=("lanes", "speed"),
            admin_status=_UP_DOWN,
            alias=_ANY,
            autoneg=_ON_OFF,
            description=_ANY,
            fec=Word(("rs", "fc", "none", "auto")),
            index=Number(*UINT16),
            lanes=Text(r"\d+(,\d+)*"),
            mtu=Number(68, 9216),
            pfc_asym=_ON_OFF,
            speed=Number(1, 1_600_000),
        ),
    ),
    "INTERFACE": (
        _rows("INTERFACE", _PORT, vrf_name=_ANY, nat_zone=Number(0, 3), mpls=Word(("enable", "disable"))),
        Rows(
            "INTERFACE_IPPREFIX_LIST",
            (_PORT, _PREFIX),
            {"scope": Word(("global", "local")), "family": Word(("IPv4", "IPv6"))},
        ),
    ),
    "WRED_PROFILE": (Rows("WRED_PROFILE_LIST", (_NAME,), _wred()),),
    "SCHEDULER": (
        _rows(
            "SCHEDULER",
            _ANY,
            type=Word(("DWRR", "WRR", "STRICT")),
            weight=Number(1, 100),
            priority=Number(0, 9),
            meter_type=Word(("packets", "bytes")),
            cir=_SIZE,
            pir=_SIZE,
            cbs=Number(*UINT32),
            pbs=Number(*UINT32),
        ),
    ),
    "QUEUE": (
        _rows(
            "QUEUE",
            _reference("PORT", "sonic-port", instead="CPU"),
            Text(_RANGE),
            scheduler=_SCHEDULER,
            wred_profile=_reference("WRED_PROFILE", "sonic-wred-profile"),
        ),
    ),
    "DSCP_TO_TC_MAP": (_map("DSCP_TO_TC_MAP", Text("6[0-3]|[1-5][0-9]?|[0-9]?"), _CLASS),),
    "TC_TO_QUEUE_MAP": (_map("TC_TO_QUEUE_MAP", _CLASS, _CLASS),),
    "TC_TO_PRIORITY_GROUP_MAP": (_map("TC_TO_PRIORITY_GROUP_MAP", _CLASS, Number(0, 7)),),
    "MAP_PFC_PRIORITY_TO_QUEUE": (_map("MAP_PFC_PRIORITY_TO_QUEUE", Number(0, 7), Number(0, 7)),),
    "PORT_QOS_MAP": (
        _rows(
            "PORT_QOS_MAP",
            _reference("PORT", "sonic-port", instead="global"),
            dscp_to_tc_map=_reference("DSCP_TO_TC_MAP", "sonic-dscp-tc-map"),
            tc_to_queue_map=_reference("TC_TO_QUEUE_MAP", "sonic-tc-queue-map"),
            tc_to_pg_map=_reference("TC_TO_PRIORITY_GROUP_MAP", "sonic-tc-priority-group-map"),
            pfc_to_queue_map=_reference("MAP_PFC_PRIORITY_TO_QUEUE", "sonic-pfc-priority-queue-map"),
            pfc_enable=_PRIORITIES,
            pfcwd_sw_enable=_PRIORITIES,
            scheduler=_SCHEDULER,
        ),
    ),
    "BUFFER_POOL": (
        _rows(
            "BUFFER_POOL",
            _ANY,
            mandatory=("type", "mode"),
            type=Word(("ingress", "egress")),
            mode=Word(("static", "dynamic")),
            size=_SIZE,
            xoff=_SIZE,
            percentage=_PERCENT,
        ),
    ),
    "BUFFER_PROFILE": (
        _rows(
            "BUFFER_PROFILE",
            _ANY,
            mandatory=("size", "pool"),
            pool=_reference("BUFFER_POOL", "sonic-buffer-pool"),
            size=_SIZE,
            static_th=_SIZE,
            dynamic_th=Number(-8, 7),
            xon=_SIZE,
            xon_offset=_SIZE,
            xoff=_SIZE,
            headroom_type=Word(("static", "dynamic")),
            packet_discard_action=Word(("drop", "trim")),
        ),
    ),
    "BUFFER_PG": (
        _rows(
            "BUFFER_PG",
            _PORT,
            Text("[0-7](-[0-7])?"),
            profile=_reference("BUFFER_PROFILE", "sonic-buffer-profile", instead="NULL"),
        ),
    ),
    "PFC_WD": (
        _rows(
            "PFC_WD",
            _reference("PORT", "sonic-port", instead="GLOBAL"),
            action=Word(("drop", "forward", "alert")),
            detection_time=Number(100, 5000),
            restoration_time=Number(100, 60_000),
            pfc_stat_history=Word(("enable", "disable")),
            POLL_INTERVAL=Number(100, 1000),
        ),
    ),
    "SWITCH_HASH": (Rows("GLOBAL", (Word(("GLOBAL",)),), _hash()),),
    "ARS_PROFILE": (
        Rows(
            "ARS_PROFILE_LIST",
            (_ANY,),
            {
                "algorithm": Word(("ewma",)),
                "ars_nhg_path_selector_mode": Word(("global", "interface", "nexthop")),
                "ars_lag_path_selector_mode": Word(("global", "interface")),
                "default_ars_object": _ARS_OBJECT,
                "max_flows": Number(*UINT32),
                "sampling_interval": Number(*UINT32),
                "ipv4_enable": _BOOLEAN,
                "ipv6_enable": _BOOLEAN,
                **_load(),
            },
        ),
    ),
    "ARS_OBJECT": (
        _rows(
            "ARS_OBJECT",
            _ANY,
            assign_mode=Word(("per_flowlet_quality", "per_packet_quality")),
            flowlet_idle_time=Number(2, 2047),
            max_flows=Number(*UINT32),
            primary_path_threshold=Number(*UINT32),
            alternative_path_cost=Number(*UINT32),
        ),
    ),
    "ARS_INTERFACE": (_rows("ARS_INTERFACE", _PORT, scaling_factor=Number(*UINT32), ars_obj_name=_ARS_OBJECT),),
    "STATIC_ROUTE": (
        Rows("STATIC_ROUTE_TEMPLATE_LIST", (_PREFIX,), _ROUTE),
        Rows(
            "STATIC_ROUTE_LIST",
            (Text("default|mgmt|Vrf[a-zA-Z0-9_-]+"), _PREFIX),
            {
                **_ROUTE,
                "distance": Text(r"(\d{1,3},)*\d{1,3}"),
                "nexthop-vrf": _ANY,
                "blackhole": Text("((true|false),)*(true|false)"),
            },
        ),
    ),
    "GNMI": (
        Rows("certs", (Word(("certs",)),), {"ca_crt": _ANY, "server_crt": _ANY, "server_key": _ANY}),
        Rows(
            "gnmi",
            (Word(("gnmi",)),),
            {
                "client_auth": _BOOLEAN,
                "log_level": Number(0, 100),
                "port": Number(*UINT16),
                "user_auth": Word(("password", "jwt", "cert")),
            },
        ),
    ),
}
"""Table -> the kinds of rows it has, told apart by their keys."""
