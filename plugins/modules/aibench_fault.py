#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: aibench_fault
short_description: Start or stop a fault of the fabric
description:
  - A fault is a change of switches like any setting. The intention is written to the run's journal and the
    configuration is saved before anything is sent, so that the end of the run, its guard or C(playbooks/restore.yml)
    takes back what is left.
  - A fault of links counts as started when the switches at both ends of each link show it down, and as stopped when
    they show it up. If that is not seen within 30 s the task fails and says what both ends show; a start that fails has
    taken the fault back. V(fault=pause_storm) counts as started, and as stopped, when the host's agent says so.
  - Use it in a C(block) with the stop in C(always), as C(playbooks/tasks/with_fault.yml) does. Run it once, not on
    every switch.
options:
  fault:
    description:
      - V(link_down) shuts O(ports); several make a multiple failure (Section 12.3 of the draft).
      - V(link_flap) shuts them and brings them up again, O(flaps) times, and is over when the task ends.
      - V(lossy_link) makes O(ports) lose O(loss_percent) of the packets that they send.
      - V(routing_detour) gives the switch of O(ports) the static O(routes).
      - V(pause_storm) lets the NIC of O(host) send PAUSE for one priority without end, as a malfunctioning one does
        (Section 8.4 of the draft). It needs O(duration_s), counted on the lab's clock. The time of a simulated lab
        stands still between trials, and the storm with it.
      - What a platform has no documented command for is not attainable either; the task then fails and says so, before
        anything is sent.
    type: str
    required: true
    choices: [link_down, link_flap, lossy_link, routing_detour, pause_storm]
  state:
    description:
      - V(stopped) ends the fault, whether or not it is there. V(routing_detour) has no command that ends it. The switch
        itself goes back if O(duration_s) has been given and is not over, else it is brought back to its snapshot, and
        the run's other settings of this switch go as well.
      - V(pause_storm) without O(host) ends every storm that the journal of O(run_dir) does not say has ended.
    type: str
    choices: [started, stopped]
    default: started
  ports:
    description: Ports of switches, such as C(leaf1:Ethernet49); for V(routing_detour) the name of one switch.
    type: list
    elements: str
    default: []
  host:
    description: Worker whose NIC makes a V(pause_storm).
    type: str
  priority:
    description: For which V(pause_storm) sends PAUSE, 0 to 7.
    type: int
    default: 3
  duration_s:
    description:
      - The switch itself ends the fault after this time, even if nobody else is left to do so. Needs a platform that
        takes back changes that are not confirmed, and one port a switch. Elsewhere it does nothing.
      - Until the fault is stopped such a switch takes no other change.
      - The agent ends a V(pause_storm) after this time, which must be given and may be an hour at most.
    type: int
  flaps:
    description: How often V(link_flap) goes down.
    type: int
    default: 1
  period_s:
    description:
      - Time from one down to the next, at least. Half of it is down, counted from when both ends are seen down.
    type: float
    default: 2.0
  loss_percent:
    description: Packets that V(lossy_link) loses.
    type: int
    default: 0
  routes:
    description: Static routes of V(routing_detour), each with C(prefix), C(next_hop) and C(interface).
    type: list
    elements: dict
    default: []
  run_dir:
    description:
      - The run's folder, with its journal. Required unless in check mode. Outside of a run give a new folder in the
        results folder. It gets a journal, and a guard process that ends the fault and removes the checkpoints when the
        playbook is over, however that happens. If the guard is killed, too, C(playbooks/restore.yml) does.
    type: path
  lab_state:
    description: State folder of the virtual lab; left out for a lab that is always there.
    type: path
attributes:
  check_mode:
    support: full
    description: Reads the switches, or asks the agent, and writes nothing, neither there nor in O(run_dir).
  diff_mode:
    support: partial
    description: In check mode.
author:
  - The aibench authors (@aibench)
"""

EXAMPLES = r"""
- name: Fail a link between a leaf and a spine
  aibench_fault:
    fault: link_down
    ports: [leaf1:Ethernet49]
    duration_s: 120
    run_dir: "{{ bench_run.run_dir }}"
  run_once: true

- name: Mend it
  aibench_fault:
    fault: link_down
    state: stopped
    ports: [leaf1:Ethernet49]
    run_dir: "{{ bench_run.run_dir }}"
  run_once: true

- name: Fail two links at once
  aibench_fault:
    fault: link_down
    ports: [leaf1:Ethernet49, leaf2:Ethernet50]
    run_dir: "{{ bench_run.run_dir }}"
  run_once: true

- name: Let a link flap three times
  aibench_fault:
    fault: link_flap
    ports: [leaf1:Ethernet49]
    flaps: 3
    period_s: 10
    run_dir: "{{ bench_run.run_dir }}"
  run_once: true

- name: Let a decode host pause its leaf for a minute of lab time
  aibench_fault:
    fault: pause_storm
    host: decode01
    duration_s: 60
    run_dir: "{{ bench_run.run_dir }}"
  run_once: true

- name: End it
  aibench_fault:
    fault: pause_storm
    state: stopped
    host: decode01
    run_dir: "{{ bench_run.run_dir }}"
  run_once: true
"""

RETURN = r"""
ends:
  description: What the switches at the ends of the links show, C(up) or C(down).
  returned: success, not in check mode; not for C(pause_storm)
  type: dict
  sample: {"leaf1:Ethernet49": "down", "spine1:ethernet-1/1": "down"}
unasked:
  description: Ends that are hosts, of which nobody can say.
  returned: success, not in check mode; not for C(pause_storm)
  type: list
  elements: str
held:
  description: Whether every switch, or the host's agent, ends the fault by itself.
  returned: success, not in check mode
  type: bool
guard:
  description: Process id of the guard of a fault outside of a run, 0 within one.
  returned: success, not in check mode
  type: int
seconds_down:
  description: How long the ports were seen down in each flap, on the controller's clock.
  returned: success, not in check mode
  type: list
  elements: float
msg:
  description: The same in words; on failure what went wrong, where, and what to do.
  returned: always
  type: raw
"""
