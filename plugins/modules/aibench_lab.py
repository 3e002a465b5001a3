#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: aibench_lab
short_description: Bring a lab of this machine up or down
description:
  - The virtual lab is one process on the controller that answers for every switch (SSH, gNMI) and worker (gRPC) of the
    inventory's topology, each on a loopback address of its own. A packet simulator stands behind the wires.
  - The kernel lab is made of network namespaces of the controller, with FRR on the switches, an SSH server on every
    node and real packets between them. It needs root.
  - A lab that a playbook has brought up ends with that playbook. One brought up with C(aibench lab up) stays.
  - It also runs in check mode, since a preview needs a switch to compare with.
options:
  kind:
    description: Which lab; V(simulated) is the virtual lab.
    choices: [simulated, kernel]
    default: simulated
    type: str
  state:
    description:
      - V(up) starts the lab unless it is up; V(held) keeps it alive while the process O(holder) lives; V(down) ends it.
    choices: [up, held, down]
    default: up
    type: str
  inventory:
    description:
      - Folder of the inventory with C(group_vars/all/topology.yml) and C(group_vars/all/simulation.yml), or
        C(group_vars/all/kernel.yml).
    type: path
  network:
    description: First two numbers of a /16 of addresses; the virtual lab takes loopback addresses only.
    default: "127.81"
    type: str
  state_dir:
    description: Folder for the lab's password, keys, certificates and log; only its owner may enter it.
    required: true
    type: path
  holder:
    description: Process id, with O(state=held).
    type: int
author: aibench
"""

EXAMPLES = r"""
- name: Bring up the virtual lab
  aibench_lab:
    state: up
    inventory: "{{ inventory_dir }}"
    state_dir: "{{ lab_state }}"
"""

RETURN = r"""
lab_instance:
  description: Names this start of the lab.
  returned: with O(state=up)
  type: str
"""
