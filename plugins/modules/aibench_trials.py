#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: aibench_trials
short_description: Run every trial of one setting of a test
description:
  - Offers each load point of the test as often as the profile says, collects samples from the workers and telemetry
    from the switches, and writes each valid trial into the run's folder. A trial that is not valid is repeated and
    counted.
  - Trials that the run's journal already holds are left out. A check run sends nothing.
options:
  test:
    description: Id of the test.
    required: true
    type: str
  setting:
    description: The setting that the switches have now.
    required: true
    type: dict
  run_dir:
    description: The run's folder.
    required: true
    type: path
  lab_state:
    description: State folder of the virtual lab; left out for a lab that is always there.
    type: path
author: aibench
"""

EXAMPLES = r"""
- name: Run the trials
  aibench_trials:
    test: "8.1"
    setting: {ecn_threshold_bytes: 100000}
    run_dir: "{{ bench_run.run_dir }}"
  run_once: true
"""

RETURN = r"""
done:
  description: Valid trials of this setting.
  returned: success
  type: int
discarded:
  description: Trials that were not valid and were repeated.
  returned: success
  type: int
seconds:
  description: How long it took on the controller's clock.
  returned: success
  type: float
"""
