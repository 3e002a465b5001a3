"""FRR and OpenSSH as they are: the driver and the transaction against a real peer in a network namespace."""

import time

import pytest
from frr_peer import frr_peer, missing

from aibench_lib.errors import LabError
from aibench_lib.journal import Journal
from aibench_lib.switch import transaction
from aibench_lib.switch.session import connect
from aibench_lib.switch.target import parse_target

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"needs {missing()}")]
DOWN = {"interface": "eth1", "admin": "down"}
DETOUR = {"routes": [{"prefix": "10.1.0.40/32", "next_hop": "10.255.3.1", "interface": "eth1"}]}


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    with frr_peer(tmp_path_factory.mktemp("frr"), "aibench-frr", 41) as peer:
        yield peer


@pytest.fixture
def target(peer):
    return parse_target("leaf1", peer.variables())


@pytest.fixture
def journal(tmp_path, target):
    journal = Journal(tmp_path / "journal.jsonl")
    yield journal
    transaction.restore(target, journal, tmp_path)


def config(target):
    with connect(target) as switch:
        return switch.comparable(switch.read_config())


@pytest.mark.parametrize(
    ("feature", "values"),
    [("interface", DOWN), ("hash_fields", {"hash_fields": "l4"}), ("routing_detour", DETOUR)],
)
def test_a_feature_is_applied_and_read_back_and_taken_back(target, journal, tmp_path, feature, values):
    before = config(target)
    change = transaction.apply(target, feature, values, journal, tmp_path)
    assert change.programmed == change.requested
    assert config(target) != before
    assert transaction.restore(target, journal, tmp_path).changed
    assert config(target) == before


def test_a_link_that_is_shut_is_down_in_the_kernel_and_up_after_the_restore(peer, target, journal, tmp_path):
    transaction.apply(target, "interface", DOWN, journal, tmp_path)
    assert "state DOWN" in peer.run("ip link show eth1")
    transaction.restore(target, journal, tmp_path)
    assert "state UP" in peer.run("ip link show eth1")


def test_nothing_of_ours_is_left_on_the_switch(peer, target, journal, tmp_path):
    transaction.apply(target, "interface", DOWN, journal, tmp_path)
    transaction.restore(target, journal, tmp_path)
    assert peer.run("ls /var/tmp | grep aibench || true") == ""
    assert "aibench" not in peer.run("ps -eo args | grep '[.]armed' || true")


def test_the_switch_takes_an_unconfirmed_change_back_by_itself(peer, target):
    before = config(target)
    with connect(target) as switch:
        switch.save_checkpoint("aibench-alone")
        switch.apply("vtysh -c 'configure terminal' -c 'interface eth1' -c 'shutdown'", "c1", 2, "aibench-alone")
    assert config(target) != before
    for _ in range(40):
        if config(target) == before:
            break
        time.sleep(0.25)
    assert config(target) == before
    with connect(target) as switch:
        switch.remove_checkpoint("aibench-alone")
        assert "aibench-alone" not in (switch.checkpoints() or [])


def test_a_kernel_without_red_refuses_ecn_and_is_left_as_it_was(peer, target, journal, tmp_path):
    if not peer.run("tc qdisc add dev lo root red limit 400000 min 1e5 max 2e5 avpkt 1000 2>&1 || true"):
        peer.run("tc qdisc del dev lo root")
        pytest.skip("this kernel has RED")
    before = config(target)
    with pytest.raises(
        LabError, match=r"leaf1: refused 'tc qdisc replace dev eth1 .*: Error: Specified qdisc kind is unkno"
    ):
        transaction.apply(target, "ecn", {"ecn_threshold_bytes": 100_000}, journal, tmp_path)
    transaction.restore(target, journal, tmp_path)
    assert config(target) == before


def test_a_switch_is_restored_from_the_text_where_its_own_copy_is_gone(peer, target, journal, tmp_path):
    before = config(target)
    transaction.apply(target, "hash_fields", {"hash_fields": "l4"}, journal, tmp_path)
    transaction.apply(target, "routing_detour", DETOUR, journal, tmp_path)
    peer.run("rm -f /var/tmp/aibench*")
    assert transaction.restore(target, journal, tmp_path).changed
    assert config(target) == before
