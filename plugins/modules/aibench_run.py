#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: aibench_run
short_description: Open and close a benchmark run
description:
  - V(opened) plans the tests, makes the run's folder and its journal, and starts the guard that restores the switches
    if the playbook ends before it has done so itself. In check mode it only plans.
  - V(closed) computes the KPIs of all trials, closes the journal and ends the guard.
  - V(pending) lists earlier runs that ended with switches still changed. It refuses while another run uses one of the
    inventory's switches, whoever has started it on this machine.
options:
  state:
    description: What to do.
    choices: [pending, opened, closed]
    required: true
    type: str
  section:
    description: Only tests of this section of the draft.
    type: int
  tests:
    description: Ids of the tests to run, as a list or separated by commas; all of the section if left out.
    type: raw
  also:
    description: Ids of tests of other sections that run, too, where the lab is one in real time.
    type: list
    elements: str
    default: []
  results_dir:
    description: Folder of all runs, with O(state=pending) and O(state=opened).
    type: path
  run_dir:
    description: Folder of one run, with O(state=closed).
    type: path
  lab_state:
    description: State folder of the virtual lab; left out for a lab that is always there.
    type: path
  break_lock:
    description:
      - With O(state=pending), end the run that uses the lab, wait until its guard has restored, and say so.
    type: bool
    default: false
author: aibench
"""

EXAMPLES = r"""
- name: Open the run
  aibench_run:
    state: opened
    section: 8
    tests: "8.1"
    results_dir: results
  register: bench_run
"""

RETURN = r"""
run_dir:
  description: The run's folder, empty in check mode.
  returned: with O(state=opened)
  type: str
steps:
  description:
    - One item a setting, with RV(steps.test), RV(steps.setting), RV(steps.label) and RV(steps.changes).
    - RV(steps.changes) has the list of C(feature) and C(values) that each switch is told. RV(steps.restore_first) says
      that the switches are put back before it, because what went before belongs to another test.
  returned: with O(state=opened)
  type: list
  elements: dict
guard:
  description: Process id of the guard.
  returned: with O(state=opened)
  type: int
runs:
  description: Folders of the runs that left switches changed.
  returned: with O(state=pending)
  type: list
  elements: str
status:
  description: complete, partial or not_restored.
  returned: with O(state=closed)
  type: str
"""
