"""What an operator has configured on a simulated SR Linux switch before the benchmark comes."""

from collections.abc import Iterator, Mapping

from aibench_lib.model import Port

Entry = tuple[str, object]
_IP_MTU = 9214
"""That of the other simulated switches; SR Linux's default is 1500, whatever the port's is."""


def base_config(name: str, neighbours: Mapping[str, Port], addresses: Mapping[str, str]) -> Iterator[Entry]:
    """Yield paths and values.

    Routed ports; queues and forwarding classes; a RoCE class on DSCP 26; ECN on, a profile without a slope, unbound; no
    PFC; gNMI and LLDP on.
    """
    for interface, neighbour in neighbours.items():
        described = {"admin-state": "enable", "mtu": 9412, "description": f"{neighbour.node} {neighbour.interface}"}
        yield f"/interface[name={interface}]", described
    for interface, address in addresses.items():
        yield (
            f"/interface[name={interface}]/subinterface[index=0]",
            {
                "admin-state": "enable",
                "ip-mtu": _IP_MTU,
                "ipv4": {"admin-state": "enable", "address": [{"ip-prefix": address}]},
            },
        )
    yield "/network-instance[name=default]", {"interface": [{"name": f"{name}.0"} for name in addresses]}
    yield from _classes()
    for interface in addresses:
        yield f"/qos/interfaces/interface[interface-id={interface}.0]", _classified(interface)
    yield "/qos/explicit-congestion-notification", {}
    yield "/qos/buffer-management/queue-management-profile[name=rocev2]", {"weight-factor": 0}
    yield "/system/name", {"host-name": name}
    yield "/system/lldp", {"admin-state": "enable"}
    yield "/system/grpc-server[name=mgmt]", {"admin-state": "enable", "network-instance": "mgmt", "services": ["gnmi"]}


def _classes() -> Iterator[Entry]:
    for number in range(8):
        yield f"/qos/queues/queue[name=q{number}]", {"queue-index": number}
        yield f"/qos/forwarding-classes/forwarding-class[name=fc{number}]", {"output": {"unicast-queue": f"q{number}"}}
    yield "/qos/classifiers/dscp-policy[name=roce]/dscp[value=26]", {"forwarding-class": "fc3"}


def _classified(interface: str) -> Mapping[str, object]:
    return {
        "interface-ref": {"interface": interface, "subinterface": 0},
        "input": {"classifiers": {"dscp-policy": "roce"}},
    }
