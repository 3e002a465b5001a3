#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: aibench_preflight
short_description: Look at the lab before a run
description:
  - Asks every switch of the play and every agent, all at once, and judges the answers against the inventory. Reads
    only. One that does not answer is a red line and hides nobody else's.
  - Judged are whether switches let us in (to configure and to read telemetry) and agents answer; whether the lab is
    isolated and no interface has a public address (Section 15 of the draft); whether links are up, at the speed of the
    topology, cabled as it says (LLDP), with the same and a large enough MTU at both ends; whether both ends treat the
    traffic class alike (PFC, ECN, DSCP, scheduling); whether switches have a free checkpoint slot and earlier runs have
    left nothing; whether clocks agree; and which software runs.
  - Hosts say which NIC they have in the fabric, and what would stop or spoil a run there. One to which a run will bring
    an agent is asked over SSH, by code that is run from memory; nothing is written on it. It says what its login sees.
  - Red is what would stop a run or make its results mean nothing; the task then fails. Yellow is what somebody should
    know.
options:
  results_dir:
    description: Folder of all runs, for what earlier ones have left changed. Left out, that is not looked at.
    type: path
  lab_state:
    description: State folder of the virtual lab; left out for a lab that is always there.
    type: path
  payload_bytes:
    description: Data in an RDMA packet of the workload, for which the MTU must be large enough.
    type: int
    default: 4096
attributes:
  check_mode:
    support: full
    description: The module changes nothing anyway.
author:
  - The aibench authors (@aibench)
"""

EXAMPLES = r"""
- name: Look at the lab
  aibench_preflight:
    results_dir: "{{ results_dir }}"
  run_once: true
"""

RETURN = r"""
findings:
  description: What was found, red first; places of which the same is said share an item.
  returned: when the inventory can be read
  type: list
  elements: dict
  contains:
    severity:
      description: red, yellow or green.
      type: str
    check:
      description: What was looked at, such as C(LLDP).
      type: str
    where:
      description: Switches, ports or links; empty for the lab as a whole.
      type: str
    text:
      description: What was found, and what to do.
      type: str
table:
  description: The same as lines for a terminal, each with its severity.
  returned: when the inventory can be read
  type: list
  elements: list
msg:
  description: Whether a run can begin.
  returned: always
  type: raw
"""
