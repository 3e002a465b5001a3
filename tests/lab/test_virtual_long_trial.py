"""A trial as long as the storm of Section 8.4, on the virtual lab, with its telemetry."""

import pytest
from virtual_fabric import fabric

from aibench_lib.model import Transfer, TrialLoad
from aibench_lib.run.plan import Profile
from aibench_lib.telemetry.control import Collector, Config
from aibench_lib.units import NS_PER_MS, NS_PER_SECOND
from aibench_lib.worker.coordinator import Coordinator

SENDERS = ("prefill01", "prefill02")
SECONDS = 300
MESSAGES_A_SECOND = 10
PROFILE = Profile(telemetry_interval_ns=100 * NS_PER_MS, fabric_interval_ns=NS_PER_SECOND)


@pytest.mark.slow
def test_300_seconds_are_sampled_without_a_gap(tmp_path):
    transfers = tuple(
        Transfer(peer="decode01", qp=1, size_bytes=1_000_000, offset_ns=number * NS_PER_SECOND // MESSAGES_A_SECOND)
        for number in range(SECONDS * MESSAGES_A_SECOND)
    )
    load = TrialLoad(
        transfers={**dict.fromkeys(SENDERS, transfers), "decode01": ()},
        seed=1,
        duration_ns=SECONDS * NS_PER_SECOND,
    )
    with (
        fabric(tmp_path / "lab", "127.115") as lab,
        Collector.start(Config(subscriptions=lab.subscriptions(PROFILE)), tmp_path) as collector,
        Coordinator(lab.agents(*SENDERS, "decode01")) as coordinator,
    ):
        sent = coordinator.run_trial("long", load, 100_000)
        window = collector.window(sent.t0_ns, sent.t_end_ns)
        assert window.reasons == ()
        assert sent.t_end_ns - sent.t0_ns > (SECONDS - 1) * NS_PER_SECOND
        rows = window.tables["queue"].to_pandas()
        own = rows[(rows.switch == "leaf1") & (rows.interface == "Ethernet33")].dropna(subset="transmit_packets")
        assert own.transmit_packets.max() - own.transmit_packets.min() == 2 * len(transfers) * -(-1_000_000 // 4096)
        assert own.time_ns.diff().max() <= NS_PER_SECOND
        assert collector.stop().outages == 0
