#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: aibench_facts
short_description: Ask a switch what it is
description:
  - Reads vendor, model, ASIC, software, buffer, clock, and of each interface its state, speed, MTU, address and LLDP
    neighbour, in one session, with the commands or paths that the platform's file lists under C(facts).
  - What a switch does not say is null. The size of the buffer is then taken from the inventory, and a note says so.
  - With O(run_dir) the answer goes into the run's journal, from which the run's system configuration (Section 14 of the
    draft) is made when the run is closed.
  - Runs on the controller; the switch needs neither Python nor an agent.
options:
  run_dir:
    description: The run's folder, with its journal. Left out, nothing is written.
    type: path
attributes:
  check_mode:
    support: full
    description: Reads the switch and writes nothing.
author:
  - The aibench authors (@aibench)
"""

EXAMPLES = r"""
- name: Ask the switches what they are
  aibench_facts:
    run_dir: "{{ bench_run.run_dir }}"

- name: Show the software versions
  ansible.builtin.debug:
    msg: "{{ ansible_facts.aibench_switch.software }}"
"""

RETURN = r"""
ansible_facts:
  description: Facts of the switch.
  returned: success
  type: dict
  contains:
    aibench_switch:
      description: What the switch says of itself.
      type: dict
      returned: success
      contains:
        host:
          description: The inventory's name.
          type: str
          returned: success
        platform:
          description: The platform, a folder of C(templates).
          type: str
          returned: success
        vendor:
          description: Who makes it.
          type: str
          returned: success
        model:
          description: The model.
          type: str
          returned: success
        asic:
          description: The switching chip; null where no command shows it.
          type: str
          returned: success
        software:
          description: The version of its software.
          type: str
          returned: success
        buffer_bytes:
          description: Size of the packet buffer that the ports share.
          type: int
          returned: success
        clock:
          description: Its time, UTC.
          type: str
          returned: success
          sample: "2026-11-24T11:40:50Z"
        asked_at:
          description: When it was asked for its time, in seconds since the epoch on the controller's clock.
          type: float
          returned: success
        interfaces:
          description:
            - Interface name to C(oper) and C(admin) (up or down), C(speed_bps), C(mtu) (the largest IP packet),
              C(address), C(neighbour) and C(neighbour_port).
          type: dict
          returned: success
        notes:
          description: What could not be read and why.
          type: list
          elements: str
          returned: success
msg:
  description: What went wrong, where, and what to do.
  returned: on failure
  type: str
"""
