"""NICs that send PAUSE without end, in a world without servers, and the agent that is told to make one."""

import asyncio
import itertools

import grpc
import pytest
from test_virtual_lab_lossless import SIZE_BYTES, make_lossless
from test_virtual_lab_world import US, Fabric

from aibench_lib.model import Port
from aibench_lib.simulator import Parameters, PauseStorm, Simulation
from aibench_lib.units import NS_PER_SECOND
from aibench_lib.virtual_lab.agents import AgentService
from aibench_lib.virtual_lab.storms import Storm, Storms
from aibench_lib.virtual_lab.trial import NEVER
from aibench_lib.worker import agent_pb2

NOW_NS = 1_700_000_000_000_000_000
EDGE = Port("leaf2", "Ethernet1")
TRIAL_NS = 20_000 * US


@pytest.fixture
def fabric():
    fabric = Fabric(Parameters(dcqcn="off"))
    make_lossless(fabric.switches)
    return fabric


def storm(fabric, duration_ns, host="c"):
    fabric.world.storms.start(Storm(host, 3, fabric.world.now_ns + duration_ns))


def trial(fabric, size_bytes=SIZE_BYTES):
    """Run a trial towards c; return how long each transfer took, and how many PAUSE frames came to c's leaf."""
    frames = pause_frames(fabric)
    t0_ns = fabric.world.now_ns + US
    outcome, _ = fabric.trial(t0_ns=t0_ns, size_bytes=size_bytes, timeout_ns=TRIAL_NS)
    times = [NEVER if done == NEVER else done - t0_ns for done in outcome.completed_ns.tolist()]
    return times, pause_frames(fabric) - frames


def pause_frames(fabric):
    row = fabric.world.rows.queue(EDGE.node, EDGE.interface, 3)
    return int(fabric.world.now.columns["pause_rx_frames"][row].sum())


def test_nothing_arrives_at_a_host_whose_nic_pauses_its_leaf_and_all_is_as_before_after_the_end(fabric):
    before, silent = trial(fabric)
    storm(fabric, NS_PER_SECOND)
    during, frames = trial(fabric)
    fabric.world.storms.stop("c", 3)
    assert NEVER not in before
    assert silent == 0
    assert during == [NEVER, NEVER]
    assert frames > 1
    assert trial(fabric) == (before, 0)


def test_a_storm_ends_in_the_middle_of_a_trial_when_its_time_is_over(fabric):
    before, _ = trial(fabric)
    storm(fabric, 5_000 * US)
    during, _ = trial(fabric)
    assert all(5_000 * US - US < took < 5_000 * US + 2 * max(before) for took in during)
    assert fabric.world.storms.standing(fabric.world.now_ns) == frozenset()
    assert trial(fabric) == (before, 0)


def test_lab_time_that_passes_in_several_trials_ends_a_storm(fabric):
    storm(fabric, 30_000 * US)
    assert trial(fabric)[0] == [NEVER, NEVER]
    assert NEVER not in trial(fabric)[0]


def test_a_storm_that_comes_and_goes_while_a_trial_runs_is_felt_at_once(fabric):
    size_bytes = 5 * SIZE_BYTES
    before, _ = trial(fabric, size_bytes)
    steps, run = itertools.count(), fabric.world.run

    def stopped():
        """Is asked once a millisecond."""
        step = next(steps)
        if step == 1:
            fabric.world.storms.start(Storm("c", 3, fabric.world.moment_ns + NS_PER_SECOND))
        elif step == 4:
            fabric.world.storms.stop("c", 3)
        return False

    fabric.world.run = lambda *arguments: run(*arguments, stopped)
    during, frames = trial(fabric, size_bytes)
    assert frames > 1
    assert max(during) - max(before) == pytest.approx(3_000 * US, rel=0.1)


def test_a_storm_of_a_host_that_nobody_sends_to_changes_no_trial(fabric):
    before, _ = trial(fabric)
    storm(fabric, NS_PER_SECOND, host="a")
    assert trial(fabric) == (before, 0)


def test_a_fault_that_is_ended_early_does_not_end_a_second_time(fabric):
    simulation = Simulation(fabric.world.topology, Parameters(), 1)
    ends = [simulation.inject(PauseStorm("c", 3), 0, stop) for stop in (2_000_000, None)]
    simulation.advance(1_000_000)
    ends[0]()
    simulation.advance(3_000_000)
    ends[0]()
    simulation.advance(4_000_000)
    assert list(simulation._storms.values()) == [1], "the other storm goes on"
    ends[1]()
    simulation.advance(5_000_000)
    assert list(simulation._storms.values()) == [0]


class RefusedError(Exception):
    pass


class Context:
    """A call that is refused ends here."""

    async def abort(self, code, details):
        raise RefusedError(code, details)


class Clock:
    now_ns = NOW_NS


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ask(clock):
    storms = Storms()
    service = AgentService(
        "c",
        frozenset("abc"),
        None,
        now_ns=lambda: 0,
        counters=dict,
        nic="",
        storms=storms,
        moment_ns=lambda: clock.now_ns,
        clock_id="lab",
    )

    def ask(act, priority=3, seconds=0.0, host="c"):
        duration_ns = int(seconds * NS_PER_SECOND)
        request = agent_pb2.StormRequest(host=host, act=act, priority=priority, duration_ns=duration_ns)
        state = asyncio.run(service.Storm(request, Context()))
        return state.active, state.until_ns - state.now_ns if state.until_ns else None

    return ask


def test_an_agent_says_what_its_nic_does_in_each_priority(ask):
    assert ask("status") == (False, None)
    assert ask("start", seconds=2) == (True, 2 * NS_PER_SECOND)
    assert ask("status", priority=4) == (False, None)
    assert ask("status") == (True, 2 * NS_PER_SECOND)
    assert ask("stop") == (False, None)
    assert ask("stop") == (False, None)


def test_an_agent_ends_a_storm_by_itself(ask, clock):
    ask("start", seconds=2)
    clock.now_ns += NS_PER_SECOND
    assert ask("status") == (True, NS_PER_SECOND)
    clock.now_ns += NS_PER_SECOND
    assert ask("status") == (False, None)
    assert ask("start", seconds=1) == (True, NS_PER_SECOND)


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        ({"act": "start"}, grpc.StatusCode.INVALID_ARGUMENT, "duration must be positive"),
        ({"act": "start", "seconds": 3601}, grpc.StatusCode.INVALID_ARGUMENT, "at most 3600 s"),
        ({"act": "start", "seconds": 1, "priority": 8}, grpc.StatusCode.INVALID_ARGUMENT, "priority must be 0 to 7"),
        ({"act": "start", "seconds": 1, "host": "a"}, grpc.StatusCode.INVALID_ARGUMENT, "meant for 'a'"),
        ({"act": ""}, grpc.StatusCode.INVALID_ARGUMENT, "not one of start, stop, status"),
        ({"act": "start", "seconds": 1, "priority": 5}, grpc.StatusCode.FAILED_PRECONDITION, "there is one already"),
    ],
)
def test_an_agent_refuses_a_storm_without_an_end_or_for_somebody_else(ask, request_, code, reason):
    ask("start", priority=5, seconds=1)
    with pytest.raises(RefusedError, match=reason) as refused:
        ask(**request_)
    assert refused.value.args[0] == code
