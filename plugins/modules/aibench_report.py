#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: aibench_report
short_description: Write the report of a run
description:
  - Writes C(report.html) and C(report.md) into the run's folder from what is stored there, and prints the KPI table.
options:
  run_dir:
    description: The run's folder.
    required: true
    type: path
author: aibench
"""

EXAMPLES = r"""
- name: Write the report
  aibench_report:
    run_dir: results/20261124-052233-8.1
"""

RETURN = r"""
report:
  description: Path of the HTML report.
  returned: success
  type: str
"""
