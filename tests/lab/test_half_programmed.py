"""What an operator has configured by half is neither reported as programmed nor left as it is."""

import pytest
from fault_lab import Cell, fault_lab

from aibench_lib.switch import transaction
from aibench_lib.switch.session import connect

ONE_PORT_ALONE = {"hash_fields": "l4"}
HALVES = [
    (
        "cumulus_nvue",
        "nv set system forwarding ecmp-hash source-ip enabled\n"
        "nv set system forwarding ecmp-hash destination-ip enabled\n"
        "nv set system forwarding ecmp-hash source-port enabled\n"
        "nv set system forwarding ecmp-hash destination-port disabled\n",
        "hash_fields",
        ONE_PORT_ALONE,
    ),
    (
        "nokia_srlinux",
        "- path: /system/load-balancing/hash-options\n"
        "  value: {source-address: true, destination-address: true, source-port: false, destination-port: true}\n",
        "hash_fields",
        ONE_PORT_ALONE,
    ),
    (
        "nokia_srlinux_cli",
        "set / system load-balancing hash-options source-address true\n"
        "set / system load-balancing hash-options destination-address true\n"
        "set / system load-balancing hash-options source-port false\n",
        "hash_fields",
        ONE_PORT_ALONE,
    ),
    (
        "dell_sonic",
        "ip load-share hash ipv4 ipv4-src-ip\nip load-share hash ipv4 ipv4-dst-ip\n"
        "ip load-share hash ipv4 ipv4-l4-src-port\n",
        "hash_fields",
        ONE_PORT_ALONE,
    ),
    (
        "juniper_junos",
        "set forwarding-options enhanced-hash-key family inet no-l4-destination-port\n",
        "hash_fields",
        ONE_PORT_ALONE,
    ),
    (
        "cumulus_nvue",
        "nv set qos pfc default-global switch-priority 3\nnv set qos pfc default-global tx disable\n",
        "pfc_priority",
        {"pfc": "on"},
    ),
    (
        "juniper_junos",
        "set class-of-service congestion-notification-profile cnp input dscp code-point 011010 pfc\n",
        "pfc_priority",
        {"pfc": "on"},
    ),
]

OWN_ARS = (
    "ars profile own\nars port-profile own\n enable\nars object own\n mode packet-random\ninterface Eth1/1\n"
    " ars bind own\nars bind profile own\nroute-map own permit 10\n set ars-object own\n"
    "ip protocol any route-map own\n"
)
HALVES += [("dell_sonic", OWN_ARS, "load_balancing", {"load_balancing": "flowlet", "flowlet_gap_us": 100})]
HALVES += [
    (
        "juniper_junos",
        f"set class-of-service congestion-notification-profile cnp pfc-watchdog {other}\n"
        "set class-of-service congestion-notification-profile cnp pfc-watchdog detection 2\n"
        "set class-of-service congestion-notification-profile cnp pfc-watchdog recovery 500\n",
        "pfc_watchdog",
        {"watchdog": "on", "detection_ms": 200, "recovery_ms": 500},
    )
    for other in ("poll-interval 50", "watchdog-action forward")
]
OTHERS = [
    ("dell_sonic", OWN_ARS, "load_balancing", {"load_balancing": "ecmp"}),
    (
        "dell_sonic",
        "buffer profile OWN ingress_lossless_pool 0 static-threshold 5\n"
        "interface Eth1/2\n buffer priority-group 3 OWN\n"
        "interface Eth1/1\n priority-flow-control priority 3\ninterface Eth1/2\n priority-flow-control priority 3\n"
        "buffer profile ROCE ingress_lossless_pool 0 static-threshold 100000\n",
        "pfc",
        {"pfc_threshold_bytes": 100_000},
    ),
]


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(state):
    with fault_lab(state, "127.204") as lab:
        yield lab


@pytest.mark.parametrize(("platform", "half", "feature", "values"), HALVES)
def test_what_is_there_by_half_is_made_whole_and_half_again(lab, state, tmp_path, platform, half, feature, values):
    base = Cell(lab, platform, tmp_path, state)
    clean = base.switch.running_text()
    with connect(base.target) as switch:
        snapshot = switch.read_config()
        switch.apply(half, "operator")
    try:
        cell = Cell(lab, platform, tmp_path, state)
        assert transaction.preview(cell.target, feature, values).changed
        done = transaction.apply(cell.target, feature, values, cell.journal, cell.run_dir)
        assert done.programmed == done.requested
        assert not transaction.preview(cell.target, feature, values).changed
        cell.restore()
        assert cell.left() == []
    finally:
        with connect(base.target) as switch:
            switch.restore(snapshot)
    assert base.switch.running_text() == clean


@pytest.mark.parametrize(("platform", "other", "feature", "values"), OTHERS)
def test_what_the_switch_does_otherwise_is_not_reported(lab, state, tmp_path, platform, other, feature, values):
    cell = Cell(lab, platform, tmp_path, state)
    with connect(cell.target) as switch:
        snapshot = switch.read_config()
        switch.apply(other, "operator")
    try:
        change = transaction.preview(cell.target, feature, values)
        assert change.changed
        assert change.programmed != change.requested
    finally:
        with connect(cell.target) as switch:
            switch.restore(snapshot)
    assert cell.left() == []
