"""Real agents on this machine say over gRPC what their hosts are, and a preflight judges it."""

import os

import pytest
from agent_lab import AgentLab

from aibench_lib.run import host_judgement
from aibench_lib.run.described import hosts_of
from aibench_lib.run.findings import Severity
from aibench_lib.run.inspection import inspect_agents
from aibench_lib.worker.coordinator import Coordinator

pytestmark = pytest.mark.slow


def test_agents_say_what_their_hosts_are_and_a_preflight_finds_what_is_wrong(tmp_path):
    with AgentLab(tmp_path, 3) as lab:
        agents = {agent.host: agent for agent in lab.agents.values()}
        found = inspect_agents(agents, 0.0)
        assert not found.silent
        assert set(found.facts) == set(agents)
        for host, said in found.facts.items():
            assert said["nic.address"] == lab.addresses[host]
            assert said["kernel"] == os.uname().release
            assert said["transports"].endswith("tcp")
        with Coordinator(agents.values()) as coordinator:
            assert set(coordinator.inspect()) == set(agents)
    findings = list(host_judgement.judge(found.facts, agents, 4096))
    assert findings
    # On 127.x.y.z beside the address of lo: nobody has that address, which a fabric's host must
    unknown = [finding for finding in findings if finding.check == "NIC" and finding.severity is Severity.RED]
    assert {finding.where for finding in unknown} == {
        host for host, said in found.facts.items() if "nic.interface" not in said
    }
    described = hosts_of(found.facts)
    assert described["Kernel"] == f"3 x {os.uname().release}"
    assert "What the values are" in described
