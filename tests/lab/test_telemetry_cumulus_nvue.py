"""What a simulated Cumulus Linux switch streams of a trial, read as the collector reads it."""

import threading
from collections import defaultdict

import grpc
import pytest
from pygnmi.spec.v080 import gnmi_pb2
from virtual_fabric import Fabric, sample, subscribe_request

from aibench_lib.model import Transfer, TrialLoad
from aibench_lib.platforms import load_platform
from aibench_lib.run.subscriptions import _subscription
from aibench_lib.simulator import Parameters
from aibench_lib.switch.target import Target
from aibench_lib.telemetry.notifications import NotificationReader
from aibench_lib.topology import parse_topology
from aibench_lib.units import NS_PER_MS, NS_PER_US
from aibench_lib.virtual_lab.gnmi.paths import parse, to_proto
from aibench_lib.virtual_lab.inventory import LabSpec
from aibench_lib.virtual_lab.lab import VirtualLab
from aibench_lib.virtual_lab.nvue.shell import Shell
from aibench_lib.worker.coordinator import Coordinator

PLATFORM = "cumulus_nvue"
TOPOLOGY = {
    "link_bps": 400_000_000_000,
    "switches": ["leaf1", "leaf2"],
    "hosts": ["prefill01", "prefill02", "decode01"],
    "links": [
        ["prefill01:nic0", "leaf1:swp1"],
        ["prefill02:nic0", "leaf2:swp1"],
        ["decode01:nic0", "leaf2:swp2"],
        ["leaf1:swp49", "leaf2:swp49"],
    ],
}
SIZE_BYTES = 4_000_000
INTERVAL_NS = 10 * NS_PER_US
CONFIGURATION = (
    "nv set qos pfc default-global switch-priority 3",
    "nv set qos pfc default-global xoff-threshold 100000",
    "nv set qos advance-buffer-config default-global ingress-lossless-buffer shared-alpha alpha_0",
    "nv set qos congestion-control default-global traffic-class 3 min-threshold 20000",
    "nv set qos congestion-control default-global traffic-class 3 max-threshold 20000",
    "nv config apply -y",
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    state = tmp_path_factory.mktemp("lab")
    topology = parse_topology(TOPOLOGY, "topology")
    lab = VirtualLab(LabSpec(topology, dict.fromkeys(TOPOLOGY["switches"], PLATFORM), Parameters()), "127.207", state)
    lab.start()
    for switch in lab.switches.values():
        shell = Shell(switch)
        assert shell.answer("nv config show")
        assert [shell.answer(line) for line in CONFIGURATION][-1].startswith("applied")
    yield Fabric(lab, state)
    lab.stop()


class Reader:
    """Reads all that a platform's telemetry says of one switch, in a thread."""

    def __init__(self, lab, switch, stub):
        platform = load_platform(PLATFORM)
        target = Target(
            host=switch,
            address=lab.lab.addresses[switch],
            platform=PLATFORM,
            username="admin",
            password=lab.password,
            ca=str(lab.state / "ca.pem"),
            options={"queue": "3", "priority": "3"},
        )
        asked = [_subscription(target, entry, "*", INTERVAL_NS) for entry in platform.telemetry]
        self._readers = [NotificationReader(one) for one in asked]
        sampled = [sample(one.path, INTERVAL_NS, suppress_redundant=True) for one in asked if one.is_sampled]
        self.seen = defaultdict(list)
        self._call = stub.Subscribe(iter([subscribe_request(*sampled)]), metadata=lab.metadata)
        self._synced, self._last_ns, self._grown = threading.Event(), 0, threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._synced.wait(10)

    def _read(self):
        try:
            for message in self._call:
                if message.sync_response:
                    self._synced.set()
                    continue
                for reader in self._readers:
                    for record in reader.records(message.update):
                        for name, value in record.fields.items():
                            self.seen[record.measurement, record.tags["interface"], name].append(value)
                with self._grown:
                    self._last_ns = message.update.timestamp
                    self._grown.notify_all()
        except grpc.RpcError:
            pass

    def until(self, time_ns):
        with self._grown:
            assert self._grown.wait_for(lambda: self._last_ns >= time_ns, 10)
        self._call.cancel()
        return self.seen


def test_depth_marks_pauses_and_octets_of_a_congested_port_reach_the_collector(lab):
    sends = {
        host: (Transfer(peer="decode01", qp=7, size_bytes=SIZE_BYTES, offset_ns=0),)
        for host in ("prefill01", "prefill02")
    }
    load = TrialLoad(transfers={**sends, "decode01": ()}, seed=1)
    with (
        lab.stub("leaf1", 9339) as one,
        lab.stub("leaf2", 9339) as two,
        Coordinator(lab.agents(*load.transfers)) as run,
    ):
        paused, pausing = Reader(lab, "leaf1", one), Reader(lab, "leaf2", two)
        trial = run.run_trial("congested", load, NS_PER_MS)
        end_ns = trial.t_end_ns - INTERVAL_NS
        pausing, paused = pausing.until(end_ns), paused.until(end_ns)
    assert max(pausing["queue", "swp2", "depth_bytes"]) > 100_000
    assert max(pausing["queue", "swp2", "peak_bytes"]) >= max(pausing["queue", "swp2", "depth_bytes"])
    assert max(pausing["queue", "swp2", "ecn_marked_packets"]) > 0
    assert max(pausing["queue", "swp2", "dropped_packets"]) == 0
    assert max(pausing["queue", "swp2", "transmit_bytes"]) > 2 * SIZE_BYTES * 0.9
    assert max(pausing["pfc", "swp49", "pause_tx_frames"]) > 0
    assert max(paused["pfc", "swp49", "pause_rx_frames"]) == max(pausing["pfc", "swp49", "pause_tx_frames"])
    time_ns = max(paused["pfc", "swp49", "paused_ns"])
    assert 0 < time_ns < trial.t_end_ns - trial.t0_ns
    assert time_ns % NS_PER_US == 0
    assert max(pausing["interface", "swp49", "in_bytes"]) > SIZE_BYTES * 0.9


def test_a_port_that_is_shut_is_told_at_once(lab):
    entry = next(one for one in load_platform(PLATFORM).telemetry if one.mode == "on_change")
    path = to_proto(parse(entry.path.format(interface="swp1")))
    request = subscribe_request(gnmi_pb2.Subscription(path=path, mode=gnmi_pb2.ON_CHANGE))
    with lab.stub("leaf1", 9339) as stub, lab.cli("leaf1", device_type="cumulus_linux") as shell:
        call = stub.Subscribe(iter([request]), metadata=lab.metadata)
        said = (message.update.update[0].val.string_val for message in call if not message.sync_response)
        assert next(said) == entry.true_when["oper_up"]
        for state, word in (("down", "DOWN"), ("up", "UP")):
            shell.send_command(f"nv set interface swp1 link state {state}")
            assert "applied" in shell.send_command("nv config apply -y")
            assert next(said) == word
        call.cancel()
