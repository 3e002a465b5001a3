"""How busy a host says it is."""

import time

from aibench_lib.worker.agent import cpu
from aibench_lib.worker.agent.sources import Sources


def test_busy_is_all_but_idle_and_waiting_for_disks(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text("cpu  100 10 50 800 30 5 4 1 60 2\ncpu0 50 5 25 400 15 2 2 0 30 1\n")
    tick_ns = 10_000_000  # USER_HZ is 100 on every Linux
    assert cpu.times(Sources(tmp_path)) == {"cpu_ns": 1000 * tick_ns, "cpu_busy_ns": 170 * tick_ns}


def test_a_machine_that_does_not_say_it_says_nothing(tmp_path):
    assert cpu.times(Sources(tmp_path)) == {}


def test_work_makes_this_machine_busier():
    before, began = cpu.times(), time.process_time_ns()
    while time.process_time_ns() - began < 200_000_000:
        pass
    after = cpu.times()
    assert after["cpu_busy_ns"] - before["cpu_busy_ns"] >= 150_000_000
    assert after["cpu_ns"] - before["cpu_ns"] >= after["cpu_busy_ns"] - before["cpu_busy_ns"]
