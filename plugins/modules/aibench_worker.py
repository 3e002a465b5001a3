#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: aibench_worker
short_description: Deploy, start, check, stop and remove the traffic agents of hosts
description:
  - An agent is the process on a host that sends the traffic of a test. This module puts it there over SSH, with the
    login that Ansible's variables describe (C(ansible_host), C(ansible_port), C(ansible_user), C(ansible_password),
    C(ansible_ssh_private_key_file)); what they leave open comes from C(~/.ssh/config), jump hosts included.
  - It runs once for all hosts of the group C(workers), many at a time. A host whose variable C(worker) gives C(ca),
    C(cert) and C(key) is left alone, since somebody else runs its agent.
  - What the agent needs is in a folder of its own on the host (C(worker.folder)), for its user alone, and is installed
    without a network on the host. The wheels come from the controller's O(wheelhouse), and into that from the network
    once.
  - A login as root starts the agent as C(worker.run_as), without any right but a raised limit of locked memory; where
    systemd runs the host, in a transient unit. Any other login starts it as itself.
  - The journal names each host and folder before they are touched. Role C(restore), C(playbooks/restore.yml) and the
    guard of a killed playbook remove the agents that it knows of. An agent that nobody holds or calls ends by itself
    after C(worker.lease_seconds), and deletes its folder.
  - In check mode no host is asked.
options:
  state:
    description:
      - V(deployed) installs what is not installed yet, and makes the certificates of the run in C(workers_state).
      - V(started) has the agents run as the inventory says; one that runs otherwise is started anew.
      - V(healthy) asks each agent who it is, over mutual TLS; nothing is changed.
      - V(stopped) ends the agents, V(removed) also deletes what was installed; both see that it is gone.
    choices: [deployed, started, healthy, stopped, removed]
    required: true
    type: str
  hosts:
    description: Workers to act on; empty, all.
    type: list
    elements: str
    default: []
  run_dir:
    description:
      - The run's folder, with its journal. Outside of a run, V(deployed) begins one there, with a guard that removes
        the agents when the playbook has ended.
    required: true
    type: path
  wheelhouse:
    description: Folder on the controller for the wheels. Default is C(wheelhouse) beside C(workers_state).
    type: path
  lab_state:
    description: State folder of a virtual lab.
    type: path
author: aibench
"""

EXAMPLES = r"""
- name: Install the agents
  aibench_worker:
    state: deployed
    run_dir: "{{ bench_run.run_dir }}"
  run_once: true
"""

RETURN = r"""
changed_hosts:
  description: Hosts on which something had to be done.
  returned: unless in check mode
  type: list
failed_hosts:
  description: Hosts on which it could not be done; RV(msg) says why, and what to do.
  returned: unless in check mode
  type: list
"""
