"""What Junos products print, read as facts; and what their command line refuses."""

import re

import pytest

from aibench_lib.platforms import load_platform
from aibench_lib.switch import facts
from aibench_lib.switch.facts import InterfaceFacts
from aibench_lib.switch.target import Target

PLATFORM = load_platform("juniper_junos")
ANSWERS = {
    "show version": "Hostname: leaf1\nModel: qfx5240-64qd\nJunos: 23.4X100-D20.7-EVO\nYocto: 3.0.2\n"
    "JUNOS-EVO OS 64-bit [junos-evo-install-qfx-ms-x86-64-23.4X100-D20.7-EVO]\n",
    "show system uptime": "fpc0:\n----\nCurrent time: 2026-11-24 11:40:27 UTC\nTime Source:  NTP CLOCK \n"
    "System booted: 2026-10-12 20:27:57 UTC (6w0d 15:12 ago)\n",
    "show interfaces terse": (
        "Interface               Admin Link Proto    Local                 Remote\n"
        "et-0/0/0                up    up\n"
        "et-0/0/0.0              up    up   inet     10.0.0.1/31     \n"
        "                                   multiservice\n"
        "et-0/0/17:1             down  down\n"
        "lo0.0                   up    up   inet     10.255.0.1          --> 0/0\n"
        "re0:mgmt-0              up    up\n"
    ),
    "show interfaces media": (
        "Physical interface: et-0/0/0, Enabled, Physical link is Up\n"
        "  Interface index: 1008, SNMP ifIndex: 505\n"
        "  Link-level type: Ethernet, MTU: 9216, LAN-PHY mode, Speed: 400Gbps, BPDU Error: None, Loopback: Disabled,\n"
        "  Source filtering: Disabled, Flow control: Enabled, Auto-negotiation: Disabled, Media type: Fiber\n"
        "\n"
        "Physical interface: et-0/0/17:1, Administratively down, Physical link is Down\n"
        "  Link-level type: Ethernet, MTU: 1514, LAN-PHY mode, Speed: 100Gbps, BPDU Error: None,\n"
    ),
    "show lldp neighbors": (
        "Local Interface    Parent Interface    Chassis Id                     Port info          System Name\n"
        "et-0/0/0           -                   6c:92:cf:06:91:3e              ens5f0np0          srv01.lab.net\n"
        "et-0/0/17:1        -                   6c:92:cf:06:91:3f              ens6f0np0          \n"
    ),
    "show class-of-service shared-buffer": (
        "Ingress:\n  Total Buffer     :  169207 KB    \n  Dedicated Buffer :  18803 KB    \n"
        "Egress:\n  Total Buffer     :  169207 KB    \n"
    ),
}
REFUSALS = [
    "               ^\nsyntax error.\n",
    "               ^\nunknown command.\n",
    "               ^\nsyntax error, expecting <command>.\n",
    "               ^\nmissing argument.\n",
    "               ^\n'sched' is ambiguous.\nPossible completions:\n  scheduler-maps\n  schedulers\n",
    "               ^\nValue 9228 is not within range (256..9192)\n",
    "error: configuration database locked by:\n  user terminal p0 (pid 1234) on since 2026-11-24 00:00:00 UTC\n",
    "[edit class-of-service interfaces et-0/0/0]\n  'scheduler-map sm1'\n    not defined\n"
    "error: configuration check-out failed\n",
    "load complete (1 errors)\n",
]
ANSWERS_THAT_ARE_NONE = [
    "warning: uncommitted changes will be discarded on exit\nEntering configuration mode\n\n[edit]",
    "warning: statement not found\n\n[edit]",
    "commit confirmed will be automatically rolled back in 5 minutes unless confirmed\ncommit complete\n\n"
    "# commit confirmed will be rolled back in 5 minutes\n[edit]",
    "configuration check succeeds\ncommit complete\n",
    "load complete\n",
    'set interfaces et-0/0/0 description "error: syntax error, unknown command."\n',
]


class Shell:
    """A command line with fixed answers."""

    def show(self, command):
        return ANSWERS[command]


def test_what_a_product_prints_becomes_facts():
    target = Target(host="leaf1", address="192.0.2.1", platform=PLATFORM.name, username="a", password="b", options={})
    found = facts.ask(Shell(), target)
    assert (found.vendor, found.model, found.software) == ("Juniper", "qfx5240-64qd", "23.4X100-D20.7-EVO")
    assert (found.clock, found.buffer_bytes) == ("2026-11-24T11:40:27Z", 169_207 * 1024)
    assert found.interfaces == {
        "et-0/0/0": InterfaceFacts(
            oper="up",
            admin="up",
            speed_bps=400_000_000_000,
            mtu=9202,
            address="10.0.0.1/31",
            neighbour="srv01.lab.net",
            neighbour_port="ens5f0np0",
        ),
        "et-0/0/17:1": InterfaceFacts(
            oper="down", admin="down", speed_bps=100_000_000_000, mtu=1500, neighbour_port="ens6f0np0"
        ),
    }


@pytest.mark.parametrize("output", REFUSALS)
def test_a_refusal_is_recognised(output):
    assert re.search(PLATFORM.cli.error_pattern, output, flags=re.MULTILINE)


@pytest.mark.parametrize("output", ANSWERS_THAT_ARE_NONE)
def test_what_is_no_refusal_is_not_taken_for_one(output):
    assert not re.search(PLATFORM.cli.error_pattern, output, flags=re.MULTILINE)


def test_a_refused_commit_is_told_with_what_is_wrong():
    found = re.search(PLATFORM.cli.error_pattern, REFUSALS[7], flags=re.MULTILINE)
    assert "scheduler-map sm1" in found.group()


def test_the_files_of_a_folder_are_read_as_checkpoints():
    listed = "\n/var/tmp/:\naibench-1.conf\naibench-1-c2.before\ninstall/\nrescue.gz\n"
    found = [re.search(PLATFORM.cli.checkpoint.name, line) for line in listed.splitlines()]
    assert [match["name"] for match in found if match] == ["aibench-1"]
