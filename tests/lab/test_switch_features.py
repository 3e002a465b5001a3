"""Every feature on both kinds of switch of the virtual lab, over real SSH and real gNMI: there and back."""

import pytest
from switch_lab import switch_lab

from aibench_lib.errors import NotAttainable
from aibench_lib.journal import Journal
from aibench_lib.switch import transaction
from aibench_lib.switch.session import connect
from aibench_lib.switch.target import parse_target

WATCHDOG = {"watchdog": "on", "detection_ms": 200, "recovery_ms": 500}
EOS_ROUTES = [{"prefix": "10.1.0.1/32", "next_hop": "10.2.0.5", "interface": "Ethernet49"}]
SRL_ROUTES = [{"prefix": "10.1.0.2/32", "next_hop": "10.2.0.4", "interface": "ethernet-1/1"}]
CHANGES = [
    ("leaf1", "pfc", {"pfc_threshold_bytes": 100_000}),
    ("leaf1", "pfc_watchdog", WATCHDOG),
    ("leaf1", "load_balancing", {"load_balancing": "flowlet"}),
    ("leaf1", "routing_detour", {"routes": EOS_ROUTES}),
    ("spine1", "pfc", {"pfc_threshold_bytes": 100_000}),
    ("spine1", "pfc_watchdog", WATCHDOG),
    ("spine1", "routing_detour", {"routes": SRL_ROUTES}),
]
LACKING = [
    ("leaf1", "load_balancing", {"load_balancing": "packet_spray"}),
    ("spine1", "load_balancing", {"load_balancing": "flowlet"}),
    ("leaf1", "pfc_watchdog", {**WATCHDOG, "detection_ms": 75}),
    ("spine1", "pfc_watchdog", {**WATCHDOG, "recovery_ms": 50}),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with switch_lab(tmp_path_factory.mktemp("lab"), "127.133") as lab:
        yield lab


@pytest.fixture
def change(lab, tmp_path):
    """Apply a feature to a switch; whatever the test has changed is restored at its end."""
    journal = Journal(tmp_path / "journal.jsonl")
    targets = {host: parse_target(host, lab.variables(host)) for host in ("leaf1", "spine1")}

    def change(host, feature, values):
        return transaction.apply(targets[host], feature, values, journal, tmp_path)

    change.journal = journal
    change.target = targets.__getitem__
    change.restore = lambda host: transaction.restore(targets[host], journal, tmp_path)
    yield change
    for host in transaction.unrestored(journal):
        change.restore(host)


def config(target):
    with connect(target) as switch:
        return switch.comparable(switch.read_config())


@pytest.mark.parametrize(("host", "feature", "values"), CHANGES)
def test_a_feature_is_applied_and_read_back_and_taken_back(change, host, feature, values):
    before = config(change.target(host))
    done = change(host, feature, values)
    assert done.changed
    assert done.programmed == done.requested
    assert config(change.target(host)) != before
    assert change.restore(host).changed
    assert config(change.target(host)) == before


@pytest.mark.parametrize(("host", "feature", "values"), CHANGES)
def test_a_feature_that_is_there_is_not_sent_again(change, lab, host, feature, values):
    change(host, feature, values)
    sent = lab.writes(host)
    again = change(host, feature, values)
    assert not again.changed
    assert again.before == again.after
    assert lab.writes(host) == sent


@pytest.mark.parametrize(("host", "feature", "values"), LACKING)
def test_what_a_platform_lacks_is_refused_before_anything_is_sent(change, lab, host, feature, values):
    sent = lab.writes(host)
    with pytest.raises(NotAttainable, match=rf"not attainable: .* \({host};"):
        change(host, feature, values)
    assert lab.writes(host) == sent


@pytest.mark.parametrize("host", ["leaf1", "spine1"])
def test_hash_is_how_a_switch_distributes_unless_it_is_told_otherwise(change, lab, host):
    sent = lab.writes(host)
    assert not change(host, "load_balancing", {"load_balancing": "ecmp"}).changed
    assert lab.writes(host) == sent


def test_flowlets_are_taken_back_by_asking_for_hash(change):
    change("leaf1", "load_balancing", {"load_balancing": "flowlet"})
    back = change("leaf1", "load_balancing", {"load_balancing": "ecmp"})
    assert (back.changed, back.programmed) == (True, {"load_balancing": "ecmp"})


@pytest.mark.parametrize("host", ["leaf1", "spine1"])
def test_a_watchdog_is_switched_off_and_its_timers_are_set_anew(change, host):
    change(host, "pfc", {"pfc_threshold_bytes": 100_000})
    change(host, "pfc_watchdog", WATCHDOG)
    slower = {**WATCHDOG, "detection_ms": 1500, "recovery_ms": 1000}
    assert change(host, "pfc_watchdog", slower).programmed.items() >= slower.items()
    off = change(host, "pfc_watchdog", {"watchdog": "off"})
    assert (off.changed, off.programmed["watchdog"]) == (True, "off")


@pytest.mark.parametrize("host", ["leaf1", "spine1"])
def test_thresholds_follow_each_other_and_one_restore_takes_all_features_back(change, host):
    before = config(change.target(host))
    for threshold in (10_000, 1_000_000):
        assert change(host, "pfc", {"pfc_threshold_bytes": threshold}).programmed["pfc_threshold_bytes"] == threshold
    change(host, "ecn", {"ecn_threshold_bytes": 100_000})
    change(host, "pfc_watchdog", WATCHDOG)
    change(host, "routing_detour", {"routes": EOS_ROUTES if host == "leaf1" else SRL_ROUTES})
    assert change.restore(host).changed
    assert config(change.target(host)) == before


def test_another_route_of_the_same_prefix_gives_way(change):
    change("leaf1", "routing_detour", {"routes": EOS_ROUTES})
    other = [{**EOS_ROUTES[0], "next_hop": "10.2.0.7"}]
    assert change("leaf1", "routing_detour", {"routes": other}).programmed["next_hop"] == {"10.1.0.1/32": "10.2.0.7"}
    routes = [line for line in config(change.target("leaf1")) if line.startswith("ip route")]
    assert routes == ["ip route 10.1.0.1/32 Ethernet49 10.2.0.7"]
