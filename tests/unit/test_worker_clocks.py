"""The true offset of a host's clock always lies within what is said of it."""

import pytest
from agent_servers import Lab, Prober, make_keys
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.errors import LabError
from aibench_lib.worker import agent_pb2
from aibench_lib.worker.calls import Calls
from aibench_lib.worker.clocks import Clocks, Measurement, estimate, following, own_clock_id, pair_uncertainty_ns
from aibench_lib.worker.probes import Exchange, Probed, probe

SECOND, MS = 1_000_000_000, 1_000_000
delays = st.integers(0, 50 * MS)
offsets = st.integers(-(10**15), 10**15)


def exchange(offset_ns, there_ns, residence_ns, back_ns, sent_ns=SECOND):
    """A probe that took so long in each direction to a host whose clock is so far ahead."""
    received_ns = sent_ns + there_ns + offset_ns
    answered_ns = received_ns + residence_ns
    return Exchange(sent_ns, received_ns, answered_ns, answered_ns - offset_ns + back_ns)


@given(offsets, st.lists(st.tuples(delays, delays, delays), min_size=1, max_size=20))
def test_however_unequal_the_two_directions_the_true_offset_is_within_the_uncertainty(offset_ns, probes):
    found = estimate([exchange(offset_ns, *one) for one in probes], 0)
    assert abs(found.offset_ns - offset_ns) <= found.uncertainty_ns
    assert found.uncertainty_ns <= min(there + back for there, _, back in probes) / 2 + 1  # the shortest, not its mean


@given(
    offsets,
    st.floats(-50, 50),
    st.tuples(delays, delays),
    st.tuples(delays, delays),
    st.integers(1, 100),
    st.floats(0, 100),
)
def test_a_clock_that_drifts_as_it_did_stays_within_the_uncertainty(offset_ns, ppm, first, second, seconds, later):
    def at(time_ns):
        return offset_ns + round(ppm * time_ns / 1e6)

    end_ns = seconds * SECOND
    before = estimate([exchange(at(0), first[0], 0, first[1])], 0)
    now = following("a", before, estimate([exchange(at(end_ns), second[0], 0, second[1])], end_ns))
    time_ns = end_ns + round(later * SECOND)
    assert abs(now.offset_ns - at(time_ns)) <= now.uncertainty_at(time_ns) + 2  # two roundings above


def test_what_two_measurements_show_of_the_drift_replaces_what_was_assumed():
    exact = Measurement(0, 100, 0)
    assert exact.uncertainty_at(30 * SECOND) == 100 + 30 * 50_000
    # 300 ns in 30 s, known to 200 ns: at most 500 ns in 30 s.
    steady = following("a", exact, Measurement(300, 100, 30 * SECOND))
    assert steady.uncertainty_at(60 * SECOND) == 100 + 500
    fast = following("a", exact, Measurement(6 * MS, 100, 30 * SECOND))  # 200 ppm
    assert fast.uncertainty_at(60 * SECOND) == pytest.approx(100 + 6 * MS, abs=1)


def test_a_clock_that_was_set_between_two_measurements_is_named():
    with pytest.raises(LabError, match=r"h: its clock and the controller's moved apart by 3 s within 30 s; let"):
        following("h", Measurement(0, 100, 0), Measurement(3 * SECOND, 100, 30 * SECOND))


def test_probes_during_which_a_clock_was_set_back_are_not_used():
    assert estimate([exchange(0, 0, 10, -50)], 0) is None


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("keys") / "keys")


@pytest.fixture
def lab(keys):
    lab = Lab(keys)
    yield lab
    lab.close()


def measured(lab, **options):
    """Measure all hosts of a lab; return their readings."""
    calls = Calls(lab.addresses())
    try:
        agents = calls.ask("Describe", {host: agent_pb2.DescribeRequest() for host in lab.agents}, 5)
        clocks = Clocks(calls, 5, **options)
        clocks.measure(agents)
        return clocks.readings(agents)
    finally:
        calls.close()


def real(lab, host, clock_id, **behaviour):
    return lab.add(host, clock="realtime", clock_id=clock_id, **behaviour)


def test_a_host_with_a_clock_of_its_own_is_probed_by_udp(lab):
    real(lab, "a", "boot 1", prober=Prober(shift_ns=7 * SECOND))
    found = measured(lab)["a"]
    assert found.method == "probes"
    assert abs(found.offset_ns - 7 * SECOND) <= found.uncertainty_ns < 5 * MS


@pytest.mark.parametrize(("there", "back"), [(0.002, 0), (0, 0.002)])
def test_a_network_slower_in_one_direction_moves_the_offset_no_further_than_is_said(lab, there, back):
    real(lab, "a", "boot 1", prober=Prober(shift_ns=-SECOND, there_seconds=there, back_seconds=back))
    found = measured(lab)["a"]
    assert MS / 2 <= abs(found.offset_ns + SECOND) <= found.uncertainty_ns


def test_hosts_with_the_controllers_clock_or_a_simulated_one_are_not_probed(lab):
    prober = Prober()
    real(lab, "a", own_clock_id(), prober=prober)
    assert (measured(lab)["a"].uncertainty_ns, measured(lab)["a"].method, prober.asked) == (0, "one clock", 0)


def test_one_host_of_those_with_one_clock_is_probed_for_all(lab):
    first, second = Prober(shift_ns=SECOND), Prober(shift_ns=SECOND)
    real(lab, "a", "boot 1", prober=first)
    real(lab, "b", "boot 1", prober=second)
    found = measured(lab)
    assert second.asked == 0
    assert found["a"] == found["b"]
    assert pair_uncertainty_ns(found) == 0


def test_where_udp_is_filtered_calls_are_timed_and_that_is_said(lab):
    silent = Prober(answers=False)
    real(lab, "a", "boot 1", prober=silent, shift_ns=5 * SECOND)
    found = measured(lab)["a"]
    assert silent.asked == 3
    assert found.method == "calls, as probes by UDP are not answered"
    assert abs(found.offset_ns - 5 * SECOND) <= found.uncertainty_ns


def kept(bound_ns):
    return {"clock.sync": "ptp", "clock.offset_bound_ns": str(bound_ns)}


def test_what_keeps_the_clocks_is_used_where_it_keeps_them_better_than_they_can_be_measured(lab):
    for host, shift_ns in (("a", 100), ("b", -100)):
        slow = Prober(shift_ns=shift_ns, there_seconds=0.001)
        real(lab, host, f"boot of {host}", prober=slow, facts=kept(150))
    found = measured(lab)
    assert {reading.method for reading in found.values()} == {"ptp"}
    assert pair_uncertainty_ns(found) == 300


def test_what_keeps_the_clocks_worse_than_they_can_be_measured_or_only_some_is_not_used(lab):
    real(lab, "a", "boot of a", prober=Prober(), facts=kept(SECOND))
    real(lab, "b", "boot of b", prober=Prober(), facts=kept(SECOND))
    assert {reading.method for reading in measured(lab).values()} == {"probes"}
    lab.agents["a"].behaviour["facts"] = kept(1)
    lab.agents["b"].behaviour["facts"] = {}
    assert {reading.method for reading in measured(lab).values()} == {"probes"}


def test_what_keeps_the_clocks_is_not_believed_where_probes_contradict_it(lab):
    for host, shift_ns in (("a", 0), ("b", SECOND)):
        real(lab, host, f"boot of {host}", prober=Prober(shift_ns=shift_ns), facts=kept(150))
    found = measured(lab)
    assert {reading.method for reading in found.values()} == {"probes"}
    assert abs(found["b"].offset_ns - SECOND) <= found["b"].uncertainty_ns


def test_a_measurement_is_made_anew_when_it_is_old(lab):
    prober = Prober()
    real(lab, "a", "boot 1", prober=prober)
    calls = Calls(lab.addresses())
    try:
        agents = calls.ask("Describe", {"a": agent_pb2.DescribeRequest()}, 5)
        now = [0]
        clocks = Clocks(calls, 5, monotonic_ns=lambda: now[0])
        asked = []
        for now[0] in (0, 29 * SECOND, 31 * SECOND):
            clocks.measure(agents)
            asked.append(prober.asked)
        assert asked == [16, 16, 32]
        prober.shift_ns = 3600 * SECOND
        now[0] = 90 * SECOND
        with pytest.raises(LabError, match=r"a: its clock and the controller's moved apart by 3\.6e\+03 s within 59 s"):
            clocks.measure(agents)
        now[0] = 91 * SECOND
        clocks.measure(agents)  # what was found then is what counts from then on
        assert clocks.readings(agents)["a"].offset_ns == pytest.approx(3600 * SECOND, abs=SECOND)
    finally:
        calls.close()


def test_many_hosts_are_probed_at_the_same_time():
    probers = {f"h{number}": Prober(shift_ns=number * MS, there_seconds=0.005) for number in range(20)}
    try:
        found = probe({name: Probed("127.0.0.1", one.port, b"sixteen bytes...") for name, one in probers.items()}, 4)
    finally:
        for one in probers.values():
            one.close()
    assert {len(own) for own in found.values()} == {4}
    for number, own in enumerate(found.values()):
        estimated = estimate(own, 0)
        assert abs(estimated.offset_ns - number * MS) <= estimated.uncertainty_ns
