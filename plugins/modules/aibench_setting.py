"""Documentation of ``aibench_setting``; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: aibench_setting
short_description: Apply a setting to a switch under test, and bring the switch back
description:
  - Applies one feature, such as the ECN thresholds, to a switch over SSH or gNMI, whichever its platform speaks.
  - Before the first change of a run the switch's configuration is saved in I(run_dir) and, where its platform has
    checkpoints, on the switch, and journalled. With I(state=restored) the switch is brought back from there, and an
    empty difference has to prove it. A checkpoint for which there is no room keeps the change away.
  - A change is armed to fall back by itself, where the platform can do that, until its values were read back.
  - A setting that is already there is not sent again.
  - Values outside the platform's range are refused before anything is sent, with the limits.
  - Every value is read back; the switch's own values are returned in C(programmed), also where it rounded.
  - The switch is named by the inventory; the variables C(ansible_host), C(ansible_user) and C(ansible_password),
    optionally C(ansible_port), and the mapping C(switch) must be set. C(switch) holds C(platform) (a folder of
    C(templates/)), C(known_hosts) (SSH), C(gnmi_port) and C(ca) (gNMI), and the platform's own options, which its
    C(platform.yml) lists.
  - Runs on the controller; the switch needs neither Python nor an agent.
options:
  state:
    description:
      - C(applied) makes the switch take the setting.
      - C(restored) brings the switch back to what it was before the run. A switch the run never changed is left alone.
    type: str
    choices: [applied, restored]
    default: applied
  feature:
    description: What to set, such as C(ecn). With I(state=applied), this and I(values), or I(settings), is required.
    type: str
  values:
    description:
      - The values of the feature, numbers being whole ones in the unit their name ends with.
      - C(ecn) takes C(ecn_threshold_bytes), a step at which marking starts with 100 %, or C(kmin_bytes), C(kmax_bytes)
        and C(probability_percent).
      - C(pfc) takes C(pfc_threshold_bytes); it also makes the host's C(priority) lossless.
      - C(pfc_watchdog) takes C(watchdog), on or off, and with on C(detection_ms) and C(recovery_ms).
      - C(load_balancing) takes C(load_balancing), one of ecmp, flowlet and packet_spray.
      - C(routing_detour) takes C(routes), static routes with C(prefix), C(next_hop) and C(interface).
    type: dict
  settings:
    description: Several features with their values, applied in this order with one login.
    type: list
    elements: dict
    suboptions:
      feature:
        description: As the option of this name.
        type: str
        required: true
      values:
        description: As the option of this name.
        type: dict
        required: true
  run_dir:
    description: The run's folder, with its journal. Required unless in check mode with I(state=applied).
    type: path
  overwrite_foreign_changes:
    description:
      - With I(state=restored), bring the switch back although somebody else has changed it since the run's last change,
        and give up what they did. Otherwise such a switch is left as it is, and the task fails with the difference.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Reads the switch and writes nothing, neither there nor in I(run_dir).
  diff_mode:
    support: full
author:
  - The aibench authors (@aibench)
"""

EXAMPLES = r"""
- name: Mark from 100 KB of queue on
  aibench_setting:
    feature: ecn
    values:
      ecn_threshold_bytes: 100000
    run_dir: "{{ run_dir }}"

- name: Mark with a slope
  aibench_setting:
    feature: ecn
    values:
      kmin_bytes: 100000
      kmax_bytes: 500000
      probability_percent: 20
    run_dir: "{{ run_dir }}"

- name: Mark and pause, with one login
  aibench_setting:
    settings:
      - feature: ecn
        values:
          ecn_threshold_bytes: 100000
      - feature: pfc
        values:
          pfc_threshold_bytes: 500000
    run_dir: "{{ run_dir }}"

- name: Send traffic for one host over the other spine
  aibench_setting:
    feature: routing_detour
    values:
      routes:
        - prefix: 10.1.0.40/32
          next_hop: 10.2.0.5
          interface: Ethernet50
    run_dir: "{{ run_dir }}"

- name: Bring the switch back
  aibench_setting:
    state: restored
    run_dir: "{{ run_dir }}"
"""

RETURN = r"""
settings:
  description: What was made of each setting, in the order they were applied.
  returned: with state=applied
  type: list
  elements: dict
  contains:
    feature:
      description: Such as C(ecn).
      type: str
    requested:
      description: What was asked for, in the platform's values, with what its template always sets.
      type: dict
      sample: {"kmin_bytes": 100000, "kmax_bytes": 100000, "probability_percent": 100, "count": true}
    programmed:
      description: The same values as read back from the switch; in check mode, what the switch has now.
      type: dict
      sample: {"kmin_bytes": 100000, "kmax_bytes": 100000, "probability_percent": 100, "count": true}
    changed:
      description: Whether anything was sent, or in check mode would be.
      type: bool
diff:
  description: The change, or with state=restored the way back.
  returned: always
  type: dict
msg:
  description: What went wrong, where, and what to do.
  returned: on failure
  type: str
"""
