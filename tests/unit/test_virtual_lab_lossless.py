"""Trials on a fabric whose switches are told of PFC, load balancing and routes in their own languages."""

import pytest
from test_virtual_lab_world import START_NS, US, Fabric, flow

from aibench_lib.simulator import Parameters
from aibench_lib.topology import host_address, parse_topology, port_address
from aibench_lib.virtual_lab.configured import detours
from aibench_lib.virtual_lab.course import Demand
from aibench_lib.virtual_lab.gnmi.paths import parse
from aibench_lib.virtual_lab.nos import make_switches
from aibench_lib.virtual_lab.trial import NEVER, Trial
from aibench_lib.virtual_lab.world import World
from aibench_lib.virtual_lab.writes import Writes

MMU = "platform trident mmu queue profile ROCE"
LEAF = (
    MMU,
    "ingress priority-group 3 threshold 1/128",
    "ingress priority-group 3 reserved bytes 20000",
    f"{MMU} apply",
    "qos profile ROCE",
    "priority-flow-control on",
    "priority-flow-control priority 3 no-drop",
)
MAPPING = "/qos/pfc-mapping-profile[name=P]"
SPINE = [
    ("/qos/queues/pfc-queue[pfc-queue-name=pfc3]", {"queue-index": 3}),
    (
        f"{MAPPING}/received-traffic/unicast-mapping/pfc-queue[pfc-queue-name=pfc3]",
        {"forwarding-class": ["fc3"], "pfc-pause-frame-priority": 3},
    ),
    (
        f"{MAPPING}/received-pfc-pause-frames/queue[queue-name=q3]",
        {"pfc-pause-frame-priority": 3, "enable-pfc": True},
    ),
    (
        "/qos/buffer-management/buffer-allocation-profile[name=P]/queues/pfc-queue[pfc-queue-name=pfc3]",
        {"maximum-burst-size": 20_000},
    ),
]
BINDING = {"input": {"pfc-buffer-allocation-profile": "P"}, "pfc": {"pfc-mapping-profile": "P", "pfc-enable": True}}
PFC_OF_A = "/interfaces/interface[name=Ethernet1]/ethernet/pfc/priorities/priority[index=3]/state"
PFC_OF_SPINE = "/qos/interfaces/interface[interface-id=ethernet-1/1]/pfc/statistics/pfc-priority[index=3]"
SIZE_BYTES = 4_000_000


def configure(switch, *lines):
    editor = switch.editor()
    for line in lines:
        editor.enter(line)


def make_lossless(switches):
    for switch in switches.values():
        if hasattr(switch, "editor"):
            configure(switch, *LEAF)
        else:
            ports = [(f"/qos/interfaces/interface[interface-id={port}]", BINDING) for port in switch.neighbours]
            switch.apply([], [], [(parse(path), value) for path, value in [*SPINE, *ports]])


@pytest.fixture
def lossy():
    return Fabric(Parameters(buffer_bytes=1_000_000, dcqcn="off"))


@pytest.fixture
def lossless():
    fabric = Fabric(Parameters(buffer_bytes=1_000_000, dcqcn="off"))
    make_lossless(fabric.switches)
    return fabric


def drops(fabric):
    return int(fabric.world.now.columns["dropped_packets"].sum())


def test_a_fabric_without_pfc_drops_what_its_buffers_cannot_hold(lossy):
    lossy.trial(size_bytes=SIZE_BYTES, timeout_ns=2_000 * US)
    assert drops(lossy) > 0


def test_a_fabric_with_pfc_drops_nothing_and_pauses_its_hosts(lossless):
    outcome, _ = lossless.trial(size_bytes=SIZE_BYTES)
    assert NEVER not in outcome.completed_ns
    assert drops(lossless) == 0
    for host in "ab":
        growth = outcome.nic_growth[host]
        assert growth["rx_prio3_pause"] > 0
        assert growth["rx_prio3_pause_duration"] > 0
        assert growth["rx_prio4_pause"] == growth["tx_prio3_pause"] == 0
        assert growth["rx_prio3_pause_duration"] * US < outcome.end_ns - START_NS


def test_a_leaf_counts_the_frames_it_sends_and_a_spine_the_same_that_it_sends_on(lossless):
    leaf = lossless.subscribe("leaf1", PFC_OF_A, 10 * US)
    spine = lossless.subscribe("spine1", PFC_OF_SPINE, 1_000_000)
    outcome, (frames, at_spine) = lossless.trial(leaf, spine, size_bytes=SIZE_BYTES)
    sent = [leaves["out-frames"] for _, leaves in frames if "out-frames" in leaves]
    assert sent == sorted(sent)
    assert sent[-1] == outcome.nic_growth["a"]["rx_prio3_pause"]
    assert {leaves["in-frames"] for _, leaves in frames} == {0}, "a host that is not paced sends no PAUSE"
    assert at_spine[-1][1]["pfc-pause-frames-generated"] > 0
    assert at_spine[-1][1]["deadlock-recovery-occurrences"] == 0


def test_pause_counters_outlive_a_trial(lossless):
    subscription = lossless.subscribe("leaf1", PFC_OF_A, 500 * US)
    one, two = (lossless.trial(subscription, size_bytes=SIZE_BYTES)[1][0][-1][1]["out-frames"] for _ in range(2))
    assert two == 2 * one > 0


def test_the_uplink_that_the_spine_pauses_tells_for_how_long(lossless):
    path = PFC_OF_A.replace("Ethernet1", "Ethernet49")
    fine, coarse = lossless.subscribe("leaf1", path, 10 * US), lossless.subscribe("leaf1", path, 500 * US)
    outcome, (recorded, stepped) = lossless.trial(fine, coarse, size_bytes=SIZE_BYTES)
    paused = [leaves["pfc-on-total-rx-time"] for _, leaves in recorded]
    assert paused == sorted(paused)
    assert 0 < paused[-1] < outcome.end_ns - START_NS
    assert recorded[-1][1] == stepped[-1][1]
    assert recorded[-1][1]["rx-transitions"] > 0


TWO_PATHS = {
    "link_bps": 100_000_000_000,
    "switches": ["leaf1", "leaf2", "leaf3", "spine1", "spine2"],
    "hosts": ["a", "b", "c"],
    "links": [
        ["a:nic0", "leaf1:Ethernet1"],
        ["b:nic0", "leaf2:Ethernet1"],
        ["c:nic0", "leaf3:ethernet-1/1"],
        *(
            [f"leaf{leaf}:{name}{48 + spine}", f"spine{spine}:ethernet-1/{leaf}"]
            for leaf, name in ((1, "Ethernet"), (2, "Ethernet"), (3, "ethernet-1/"))
            for spine in (1, 2)
        ),
    ],
}


class Clos:
    """A world of three leaves below two spines."""

    def __init__(self):
        self.topology = parse_topology(TWO_PATHS, "topology")
        self.switches = make_switches(
            self.topology,
            {
                name: "nokia_srlinux" if name in ("leaf3", "spine1", "spine2") else "arista_eos"
                for name in self.topology.switches
            },
            Writes(),
        )
        self.world = World(self.topology, Parameters(), self.switches, START_NS)
        self.up = self.topology.links

    def route(self, host, node, interface):
        """Return the words of a static route to a host by the port at the other end of an interface's link."""
        other = self.switches[node].neighbours[interface]
        return f"ip route {host_address(self.topology, host)}/32 {interface} {port_address(self.topology, other)}"

    def sent(self, *flows):
        """Run a trial; return the bytes that each uplink of leaf1 has sent in class 3, and the outcome."""
        before = self._uplinks()
        trial = Trial(t0_ns=self.world.now_ns, seed=1, flows=flows, timeout_ns=100_000 * US)
        outcome = self.world.run(trial, Demand(), lambda part: None)
        return [later - earlier for earlier, later in zip(before, self._uplinks(), strict=True)], outcome

    def _uplinks(self):
        rows = [self.world.rows.queue("leaf1", f"Ethernet{number}", 3) for number in (49, 50)]
        return [int(self.world.now.columns["tx_bytes"][row].sum()) for row in rows]


@pytest.fixture
def clos():
    return Clos()


@pytest.mark.parametrize("uplink", [49, 50])
def test_a_static_route_decides_the_uplink(clos, uplink):
    configure(clos.switches["leaf1"], clos.route("b", "leaf1", f"Ethernet{uplink}"))
    sent, outcome = clos.sent(flow(destination="b"))
    assert sent.index(max(sent)) == uplink - 49
    assert min(sent) == 0
    assert NEVER not in outcome.completed_ns


def test_a_detour_by_a_third_leaf_really_goes_there(clos):
    configure(clos.switches["leaf1"], clos.route("b", "leaf1", "Ethernet49"))
    next_hop = port_address(clos.topology, clos.switches["spine1"].neighbours["ethernet-1/3"])
    instance, prefix = "/network-instance[name=default]", f"{host_address(clos.topology, 'b')}/32"
    clos.switches["spine1"].apply(
        [], [],
        [
            (parse(f"{instance}/next-hop-groups/group[name=g]/nexthop[index=1]"), {"ip-address": next_hop}),
            (parse(f"{instance}/static-routes/route[prefix={prefix}]"), {"next-hop-group": "g"}),
        ],
    )  # fmt: skip
    detour = clos.switches["leaf3"]
    other = port_address(clos.topology, detour.neighbours["ethernet-1/50"])
    detour.apply(
        [], [],
        [
            (parse(f"{instance}/next-hop-groups/group[name=g]/nexthop[index=1]"), {"ip-address": other}),
            (parse(f"{instance}/static-routes/route[prefix={prefix}]"), {"next-hop-group": "g"}),
        ],
    )  # fmt: skip
    _, outcome = clos.sent(flow(destination="b"))
    assert NEVER not in outcome.completed_ns
    row = clos.world.rows.queue("leaf3", "ethernet-1/50", 3)
    assert clos.world.now.columns["tx_bytes"][row].sum() > 100_000


@pytest.mark.parametrize(
    "line",
    [
        "ip route 10.1.0.0/16 Ethernet49 {next_hop}",
        "ip route {host}/32 Ethernet50 {next_hop}",
        "ip route {host}/32 Ethernet49 10.2.0.99",
    ],
)
def test_a_route_that_is_less_specific_or_leads_nowhere_does_not_count(clos, line):
    next_hop = port_address(clos.topology, clos.switches["leaf1"].neighbours["Ethernet49"])
    configure(clos.switches["leaf1"], line.format(host=host_address(clos.topology, "b"), next_hop=next_hop))
    assert list(detours(clos.topology, clos.up, clos.switches)) == []


def test_a_route_over_a_link_that_is_down_or_has_no_address_does_not_count(clos):
    leaf = clos.switches["leaf1"]
    configure(leaf, clos.route("b", "leaf1", "Ethernet49"))
    [found] = detours(clos.topology, clos.up, clos.switches)
    assert found == ("leaf1", "b", clos.topology.links[3].a)
    without = [link for link in clos.up if link.a.interface != "Ethernet49" or link.a.node != "leaf1"]
    assert list(detours(clos.topology, without, clos.switches)) == []
    configure(leaf, "interface Ethernet49", "no ip address")
    assert list(detours(clos.topology, clos.up, clos.switches)) == []


def test_a_hash_keeps_a_transfer_on_one_uplink_and_flowlets_spread_it(clos):
    messages = [flow(destination="b", offset_ns=number * 200 * US) for number in range(32)]
    hashed, _ = clos.sent(*messages)
    assert min(hashed) == 0
    configure(clos.switches["leaf1"], "ip hardware fib load-balance distribution dynamic")
    spread, _ = clos.sent(*messages)
    assert min(spread) > 0
