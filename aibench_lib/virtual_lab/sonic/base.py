"""What an operator has configured on a simulated switch before the benchmark comes."""

from collections.abc import Mapping

from aibench_lib.model import Port
from aibench_lib.virtual_lab.sonic.database import Row, Tables

GNMI_PORT = 8080

_MODEL = "aibench-virtual-lab"
_LANES_A_PORT = 8
_IDENTITY: Row = {str(number): str(number) for number in range(8)}
_LOSSLESS_CLASSES = ("3", "4")
_OWN_CLASSES = {"3": "3", "4": "4", "5": "2", "8": "0", "46": "5", "48": "6"}
"""DSCP -> traffic class in the map that SONiC brings along; all other code points are of class 1."""


def base_config(name: str, neighbours: Mapping[str, Port], addresses: Mapping[str, str]) -> Tables:
    """Return the configuration: routed ports, RoCE on DSCP 26 in class 3, no ECN, no PFC.

    Args:
        name: Host name.
        neighbours: Interface -> the port at the other end of its link.
        addresses: Interface -> address and length.
    """
    interfaces: dict[str, Row] = {port: {} for port in neighbours}
    interfaces |= {f"{port}|{address}": {} for port, address in addresses.items()}
    return {
        "DEVICE_METADATA": {
            "localhost": {"hostname": name, "hwsku": _MODEL, "platform": _MODEL, "buffer_model": "traditional"}
        },
        "DEVICE_NEIGHBOR": {port: {"name": far.node, "port": far.interface} for port, far in neighbours.items()},
        "PORT": {port: _port(number, port, far) for number, (port, far) in enumerate(neighbours.items())},
        "INTERFACE": interfaces,
        "GNMI": {"gnmi": {"client_auth": "false", "port": str(GNMI_PORT), "user_auth": "password"}},
        **_qos(neighbours),
        **_buffers(),
    }


def _port(number: int, port: str, far: Port) -> Row:
    lanes = range(number * _LANES_A_PORT, (number + 1) * _LANES_A_PORT)
    return {
        "admin_status": "up",
        "alias": port,
        "description": f"{far.node} {far.interface}",
        "index": str(number),
        "lanes": ",".join(map(str, lanes)),
        "mtu": "9214",
        "speed": "400000",
    }


def _qos(neighbours: Mapping[str, Port]) -> Tables:
    queues = {
        f"{port}|{queue}": {"scheduler": "scheduler.1" if queue in _LOSSLESS_CLASSES else "scheduler.0"}
        for port in neighbours
        for queue in _IDENTITY
    }
    maps: Row = {
        "dscp_to_tc_map": "AZURE",
        "tc_to_queue_map": "AZURE",
        "tc_to_pg_map": "AZURE",
        "pfc_to_queue_map": "AZURE",
    }
    classes: Row = {str(dscp): _OWN_CLASSES.get(str(dscp), "1") for dscp in range(64)}
    return {
        "DSCP_TO_TC_MAP": {"AZURE": {**classes, "26": "3"}},
        "TC_TO_QUEUE_MAP": {"AZURE": dict(_IDENTITY)},
        "TC_TO_PRIORITY_GROUP_MAP": {"AZURE": {**dict.fromkeys(_IDENTITY, "0"), "3": "3", "4": "4", "7": "7"}},
        "MAP_PFC_PRIORITY_TO_QUEUE": {"AZURE": dict(_IDENTITY)},
        "SCHEDULER": {
            "scheduler.0": {"type": "DWRR", "weight": "14"},
            "scheduler.1": {"type": "DWRR", "weight": "15"},
        },
        "QUEUE": {key: dict(row) for key, row in queues.items()},
        "PORT_QOS_MAP": {"global": {"dscp_to_tc_map": "AZURE"}, **{port: {**maps} for port in neighbours}},
    }


def _buffers() -> Tables:
    pool = {"type": "ingress", "mode": "dynamic", "size": "59778292", "xoff": "4194112"}
    lossy: Row = {"pool": "ingress_lossless_pool", "size": "0", "dynamic_th": "3"}
    return {"BUFFER_POOL": {"ingress_lossless_pool": {**pool}}, "BUFFER_PROFILE": {"ingress_lossy_profile": lossy}}
