"""Closed loops: a queue pair posts its next message when the one `depth` before it is complete."""

import numpy as np
import pytest
from simulator_fabrics import PACKET_PS, chain

from aibench_lib.errors import SpecError
from aibench_lib.simulator import Parameters, Simulation, skip

MS = 10**9
BLOCK = 64_000
PACKETS = 16


def looped(topology, source, destination, *, depth=1, end_ps=MS, gap_ps=0, size_bytes=BLOCK, advance=None):
    simulation = Simulation(topology, Parameters(dcqcn="off"), seed=1)
    loop = simulation.start_loop(source, destination, size_bytes, 0, end_ps, qp=1, depth=depth, gap_ps=gap_ps)
    (advance or Simulation.advance)(simulation)
    return simulation, simulation.messages(loop)


def test_a_loop_of_depth_one_posts_when_the_message_before_is_complete():
    """One link: 16 packets (of 62 B more than 64,000 B in all), 1 us, and the ACK's 64 B and 1 us back."""
    _, rows = looped(chain(1), "a", "b")
    assert (rows["posted_ps"][1:] == rows["completed_ps"][:-1]).all()
    wire = (64_000 + PACKETS * 62) * 20  # 400 Gb/s: 20 ps a byte
    assert rows["completed_ps"][0] == wire + 2_000_000 + 64 * 20
    assert len(rows) == -(-(MS + 1) // int(rows["completed_ps"][0]))


def test_so_many_messages_as_the_depth_are_outstanding_until_the_loop_ends():
    _, rows = looped(chain(3), "a", "b", depth=8)
    assert (rows["posted_ps"][:8] == 0).all()
    assert (rows["posted_ps"][8:] == rows["completed_ps"][: len(rows) - 8]).all()
    assert rows["posted_ps"].max() <= MS < rows["completed_ps"][-8]


def test_a_loop_gives_what_messages_posted_at_the_same_times_give():
    _, rows = looped(chain(3), "a", "b", depth=3)
    other = Simulation(chain(3), Parameters(dcqcn="off"), seed=1)
    for at in rows["posted_ps"].tolist():
        other.start_flow("a", "b", BLOCK, at, qp=1)
    other.advance()
    for name in ("received_ps", "completed_ps", "size_bytes"):
        assert np.array_equal(other.completions()[name], rows[name])


def test_a_rate_spaces_the_turns_of_messages():
    """64 KB every 10 us are 6.4 GB/s; the line takes 1.3 us each, so every message is posted at its turn."""
    _, rows = looped(chain(2), "a", "b", depth=4, gap_ps=10_000_000)
    assert (rows["posted_ps"] == np.arange(101) * 10_000_000).all()


def test_loops_are_idle_only_after_their_last_message():
    simulation, rows = looped(chain(2), "a", "b", gap_ps=400_000_000)
    assert len(rows) == 3  # at 0, 0.4 and 0.8 ms
    assert simulation.idle
    assert (rows["completed_ps"] > 0).all()


def test_loops_that_share_a_nic_share_it_evenly_and_are_the_same_with_skips():
    seen = []
    for advance in (Simulation.advance, skip.advance):
        simulation = Simulation(chain(3), Parameters(), seed=1)
        loops = [simulation.start_loop("a", "b", 10**8, 0, 4 * MS, qp=qp, depth=2) for qp in (1, 2)]
        advance(simulation)
        seen.append([simulation.messages(loop) for loop in loops])
        assert abs(len(seen[-1][0]) - len(seen[-1][1])) <= 1
    for plain, skipped in zip(*seen, strict=True):
        assert np.array_equal(plain["completed_ps"], skipped["completed_ps"])
    assert simulation.skipped_ps > MS


def test_messages_that_are_not_complete_yet_say_so():
    simulation = Simulation(chain(2), Parameters(), seed=1)
    loop = simulation.start_loop("a", "b", BLOCK, 0, MS, qp=1, depth=2)
    simulation.advance(PACKET_PS)
    assert simulation.messages(loop)["completed_ps"].tolist() == [-1, -1]
    assert len(simulation.completions()) == 0


def test_a_loop_has_its_queue_pair_for_itself():
    simulation = Simulation(chain(1), Parameters(), seed=1)
    simulation.start_loop("a", "b", BLOCK, 0, MS, qp=1)
    with pytest.raises(SpecError, match="it has a loop; use another one"):
        simulation.start_flow("a", "b", 1, 0, qp=1)
    simulation.start_flow("a", "b", 1, 0, qp=2)
    with pytest.raises(SpecError, match="queue pair 2 has messages already"):
        simulation.start_loop("a", "b", BLOCK, 0, MS, qp=2)
    with pytest.raises(SpecError, match="depth 0"):
        simulation.start_loop("a", "b", BLOCK, 0, MS, qp=3, depth=0)
