"""Forms of an operator's own that the templates do not write: replaced for the run, and back from the text alone."""

import pytest
from fault_lab import Cell, fault_lab
from random_history import lose_checkpoint

from aibench_lib.switch import transaction
from aibench_lib.switch.session import connect

ECN = {"kmin_bytes": 500_000, "kmax_bytes": 5_000_000, "probability_percent": 20}
PFC = {"pfc_threshold_bytes": 100_000}
WATCHDOG = {"watchdog": "on", "detection_ms": 200, "recovery_ms": 500}
L3 = {"hash_fields": "l3"}
WEIGHTED = {"scheduling": "weighted", "weight_percent": 40}


def route(interface):
    return {"routes": [{"prefix": "10.1.0.40/32", "next_hop": "10.2.0.5", "interface": interface}]}


QUEUING = "policy-map type queuing QUEUING-{}\n  class type queuing {}\n    {}\n".format
OWN = {
    "cisco_nxos": [
        (
            QUEUING(
                "OUT",
                "c-out-8q-q3",
                "random-detect minimum-threshold 150 kbytes maximum-threshold 3000 kbytes "
                "drop-probability 7 weight 0 ecn",
            ),
            "ecn",
            ECN,
        ),
        (QUEUING("IN", "c-in-q3", "pause buffer-size 27456 pause-threshold 12480 resume-threshold 12480"), "pfc", PFC),
        ("class-map type qos match-any ROCE\n  match dscp 26,30\n", "dscp", {"dscp": 30}),
        ("interface Ethernet1/1\n  priority-flow-control mode off\n", "pfc_priority", {"pfc": "on"}),
        (
            "interface Ethernet1/2\n  priority-flow-control watch-dog-interval off\n"
            "priority-flow-control watch-dog interval 200\n",
            "pfc_watchdog",
            WATCHDOG,
        ),
        ("ip load-sharing address source-destination port source-destination universal-id 5\n", "hash_fields", L3),
        ("ip route 10.1.0.40/32 10.2.0.7\n", "routing_detour", route("Ethernet1/2")),
    ],
    "dell_sonic": [
        (
            "interface Eth1/1\n priority-flow-control watchdog action alert\n"
            " priority-flow-control watchdog on detect-time 300\n priority-flow-control watchdog restore-time 1000\n",
            "pfc_watchdog",
            WATCHDOG,
        ),
        (
            "qos wred-policy OWN\n green minimum-threshold 5 maximum-threshold 6 drop-probability 7\n ecn green\n"
            "interface Eth1/1\n queue 3 wred-policy OWN\n",
            "ecn",
            ECN,
        ),
        (
            "qos map dscp-tc OWN\n dscp 24,26 traffic-class 5\ninterface Eth1/1\n qos-map dscp-tc OWN\n",
            "dscp",
            {"dscp": 24},
        ),
        ("buffer profile ROCE ingress_lossless_pool 0 dynamic-threshold 1 pause pause-threshold 50000\n", "pfc", PFC),
        (
            "qos scheduler-policy OWN\n queue 3\n  type strict\n  exit\n exit\n"
            "interface Eth1/2\n scheduler-policy OWN\n",
            "scheduling",
            WEIGHTED,
        ),
        ("ip route 10.1.0.40/32 10.2.0.7\n", "routing_detour", route("Eth1/2")),
    ],
    "arista_eos": [
        (
            "qos profile ROCE\n   uc-tx-queue 3\n      random-detect ecn minimum-threshold 100 kbytes "
            "maximum-threshold 200 kbytes max-mark-probability 50 weight 0\n",
            "ecn",
            ECN,
        ),
        ("qos map dscp 24 to traffic-class 5\n", "dscp", {"dscp": 24}),
        ("ip route 10.1.0.40/32 10.2.0.7\n", "routing_detour", route("Ethernet2")),
        (
            "priority-flow-control pause watchdog default timeout 2\n"
            "priority-flow-control pause watchdog action errdisable\n",
            "pfc_watchdog",
            WATCHDOG,
        ),
        ("ip load-sharing trident fields ip source-ip\n", "hash_fields", L3),
    ],
    "juniper_junos": [
        ("set routing-options static route 10.1.0.40/32 next-hop 10.2.0.7\n", "routing_detour", route("et-0/0/1")),
        (
            "set class-of-service classifiers dscp ROCE forwarding-class NO-LOSS loss-priority low "
            "code-points 011000\n",
            "dscp",
            {"dscp": 24},
        ),
        (
            "set forwarding-options enhanced-hash-key ecmp-dlb assigned-flow\n",
            "load_balancing",
            {"load_balancing": "ecmp"},
        ),
    ],
    "cumulus_nvue": [
        ("nv set vrf default router static 10.1.0.40/32 via 10.2.0.7\n", "routing_detour", route("swp2")),
        ("nv set qos mapping default-global dscp 24 switch-priority 5\n", "dscp", {"dscp": 24}),
        ("nv set qos congestion-control default-global traffic-class 3 red enable\n", "ecn", ECN),
    ],
    "sonic": [
        (
            '{"PORT_QOS_MAP": {"Ethernet0": {"pfc_enable": "3,4"}, "Ethernet4": {"pfc_enable": "4"}}}',
            "pfc_priority",
            {"pfc": "on"},
        ),
        (
            '{"PFC_WD": {"Ethernet4": {"action": "forward", "detection_time": "300", "restoration_time": "400"}}}',
            "pfc_watchdog",
            WATCHDOG,
        ),
        (
            '{"STATIC_ROUTE": {"10.1.0.40/32": {"nexthop": "10.2.0.7", "ifname": "Ethernet0"}}}',
            "routing_detour",
            route("Ethernet4"),
        ),
        (
            '{"WRED_PROFILE": {"OWN": {"ecn": "ecn_all", "wred_green_enable": "true", "green_min_threshold": "5", '
            '"green_max_threshold": "6"}}, "QUEUE": {"Ethernet0|3": {"wred_profile": "OWN"}}}',
            "ecn",
            ECN,
        ),
        ('{"SWITCH_HASH": {"GLOBAL": {"ecmp_hash": ["DST_IP", "SRC_IP"]}}}', "hash_fields", L3),
    ],
    "nokia_srlinux_cli": [
        (
            "set / network-instance default next-hop-groups group own nexthop 1 ip-address 10.2.0.7\n"
            "set / network-instance default static-routes route 10.1.0.40/32 next-hop-group own\n",
            "routing_detour",
            route("ethernet-1/2"),
        ),
        ("set / qos classifiers dscp-policy roce dscp 24 forwarding-class fc5\n", "dscp", {"dscp": 24}),
    ],
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(state):
    with fault_lab(state, "127.205") as lab:
        yield lab


@pytest.mark.parametrize("platform", OWN)
def test_an_operators_own_forms_are_back_from_the_text(lab, state, tmp_path, platform):
    base = Cell(lab, platform, tmp_path, state)
    with connect(base.target) as switch:
        for number, (own, _, _) in enumerate(OWN[platform]):
            switch.apply(own, f"operator-{number}")
    cell = Cell(lab, platform, tmp_path, state)
    for _, feature, values in OWN[platform]:
        done = transaction.apply(cell.target, feature, values, cell.journal, cell.run_dir)
        assert done.programmed == done.requested
    lose_checkpoint(cell.switch, cell.journal)
    cell.restore()
    assert cell.left() == []
