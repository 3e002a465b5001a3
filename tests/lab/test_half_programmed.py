"""What an operator has configured by half is neither reported as programmed nor left as it is."""

import pytest
from fault_lab import Cell, fault_lab

from aibench_lib.switch import transaction
from aibench_lib.switch.session import connect

ONE_PORT_ALONE = {"hash_fields": "l4"}
HALVES = [
    (
        "cumulus_nvue",
        "nv set system forwarding ecmp-hash source-ip enabled\nnv set system forwarding ecmp-hash destination-ip enabled\n"
        "nv set system forwarding ecmp-hash source-port enabled\nnv set system forwarding ecmp-hash destination-port "
        "disabled\n",
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
