"""The lab as the inventory describes it: the same records for a simulated and a real one."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aibench_lib.catalogue import load_benchmarks
from aibench_lib.errors import SpecError
from aibench_lib.model import LabKind, Topology
from aibench_lib.procedures.procedure import LOSSLESS_PRIORITY, Fabric
from aibench_lib.run.hosts import LOGIN_VARIABLES, is_deployed, parse_host
from aibench_lib.run.variables import TARGET_VARIABLES
from aibench_lib.switch.target import Target, parse_target
from aibench_lib.telemetry.config import Influx
from aibench_lib.topology import parse_topology
from aibench_lib.worker.agents import Agent
from aibench_lib.worker.deployment import Deployment


@dataclass(frozen=True, kw_only=True)
class Lab:
    """Switches, workers and the links between them."""

    kind: LabKind
    instance: str
    """Names the lab that is there now: a virtual lab that is started again is another one."""
    isolated: bool
    """The inventory says so (Section 15)."""
    topology: Topology
    switches: Mapping[str, Target]
    workers: Mapping[str, Agent]
    pools: Mapping[str, Sequence[str]]
    """``prefill`` and ``decode``: worker names in inventory order."""
    fabric_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Feature -> values for the tests that do not vary it; empty: the fabric as its operator configured it."""
    leaf_under_test: Mapping[str, str] = field(default_factory=dict)
    """Test -> its leaf under test (DUT-S), where the inventory names one."""
    influx: Influx | None = None
    """The database that gets a copy of the telemetry."""
    deployments: Mapping[str, Deployment] = field(default_factory=dict)
    """Of the workers whose agents a run deploys and removes; the others' are somebody else's."""
    workers_state: Path | None = None
    """Folder on the controller for the keys of the agents that a run deploys."""

    def fabric(self, test: str) -> Fabric:
        """Return what the procedure of a test may know of the lab."""
        return Fabric(
            topology=self.topology,
            pools=self.pools,
            platforms={name: target.platform for name, target in self.switches.items()},
            leaf_under_test=self.leaf_under_test.get(test, ""),
            baseline=self.fabric_settings,
        )


def parse_lab(inventory: Mapping[str, Any]) -> Lab:
    """Return the lab of an inventory.

    Args:
        inventory: ``lab``, ``lab_instance``, ``isolated_lab``, ``topology``, ``groups`` (name -> hosts) and ``hosts``
            (name -> its variables).

    Raises:
        SpecError: A key is missing, unknown or of the wrong kind; the message names the host and the key.
    """
    kind = inventory["lab"]
    if kind not in list(LabKind):
        raise SpecError(f"inventory: lab: {kind!r} is not one of {', '.join(LabKind)}")
    groups = inventory["groups"]
    hosts = inventory["hosts"]
    topology = parse_topology(inventory["topology"], "inventory: topology")
    for name in topology.switches:
        if name not in groups.get("switches", ()):
            raise SpecError(f"inventory: {name} is in topology.switches, but not in the group 'switches'")
    state = Path(inventory["workers_state"]).resolve() if inventory.get("workers_state") else None
    workers = {name: parse_host(name, hosts[name], LabKind(kind), state) for name in groups.get("workers", ())}
    return Lab(
        kind=LabKind(kind),
        instance=inventory["lab_instance"],
        isolated=inventory.get("isolated_lab") is True,
        topology=topology,
        switches={name: _switch(name, hosts[name]) for name in groups.get("switches", ())},
        workers={name: agent for name, (agent, _) in workers.items()},
        deployments={name: deployment for name, (_, deployment) in workers.items() if deployment is not None},
        workers_state=state,
        pools={pool: tuple(groups.get(pool, ())) for pool in ("prefill", "decode")},
        fabric_settings=_fabric_settings(inventory.get("fabric_settings")),
        leaf_under_test=_leaf_under_test(inventory.get("leaf_under_test"), topology),
        influx=_influx(inventory),
    )


def _switch(name: str, variables: Mapping[str, Any]) -> Target:
    target = parse_target(name, variables)
    priority = target.options.get("priority", LOSSLESS_PRIORITY)
    if str(priority) != str(LOSSLESS_PRIORITY):
        raise SpecError(f"{name}: switch.priority: {priority!r}: transfers are sent in priority {LOSSLESS_PRIORITY}")
    return target


def _fabric_settings(values: object) -> Mapping[str, Mapping[str, Any]]:
    settings = values or {}
    if not isinstance(settings, Mapping) or not all(isinstance(own, Mapping) for own in settings.values()):
        raise SpecError("inventory: fabric_settings: expected feature -> values, such as pfc: {pfc_threshold_bytes: 1}")
    return settings


def _leaf_under_test(values: object, topology: Topology) -> Mapping[str, str]:
    of_switch = [id_ for id_, test in load_benchmarks().items() if "DUT-S" in test.dut]
    leaves = values or {}
    if not isinstance(leaves, Mapping):
        raise SpecError('inventory: leaf_under_test: expected test -> switch, such as "8.2": leaf3')
    for test, leaf in leaves.items():
        if leaf not in topology.switches:
            raise SpecError(f"inventory: leaf_under_test: {test}: {leaf!r} is no switch of the topology")
        if str(test) not in of_switch:
            raise SpecError(
                f"inventory: leaf_under_test: {test}: no test of a single switch; {', '.join(of_switch)} are"
            )
    return {str(test): str(leaf) for test, leaf in leaves.items()}


def _influx(inventory: Mapping[str, Any]) -> Influx | None:
    if not inventory.get("influxdb_url"):
        return None
    for key in _INFLUX_KEYS:
        if not inventory.get(key):
            raise SpecError(f"inventory: {key}: missing; it is needed with influxdb_url")
    url, token, organisation, bucket = (str(inventory[key]) for key in _INFLUX_KEYS)
    return Influx(url=url, token=token, organisation=organisation, bucket=bucket)


def lab_instance(state: Path | None) -> str:
    """Return the name of the lab that is there now: ``permanent``, or a virtual lab's own; empty if it is down.

    Args:
        state: Folder of a virtual lab's state, None for a lab that is always there.
    """
    if state is None:
        return "permanent"
    try:
        return str(json.loads((state / "state.json").read_text(encoding="utf-8"))["lab_instance"])
    except FileNotFoundError:
        return ""


_WORKER_KEYS = ("ansible_host", "worker")
"""What is not needed of a worker is not asked for: Ansible makes each variable of each host anew."""
_INFLUX_KEYS = ("influxdb_url", "influxdb_token", "influxdb_organisation", "influxdb_bucket")
_LAB_KEYS = (
    *("lab", "isolated_lab", "topology", "fabric_settings", "leaf_under_test", "profile", "profiles"),
    *("system", "workload", "simulation", "workers_state"),
    *_INFLUX_KEYS,
)
_KNOWN = {
    *TARGET_VARIABLES,
    *_WORKER_KEYS,
    *_LAB_KEYS,
    "lab_network",
    "lab_state",
    "lab_password_file",
    "results_dir",
    "tests",
    "break_lock",
    "overwrite_foreign_changes",
    "restore_pending",
    "workers_wheelhouse",
}


def read_inventory(variables: Mapping[str, Any], state: Path | None) -> dict[str, Any]:
    """Return plain copies of the variables a run needs, from those of any one host.

    Args:
        variables: A play host's variables, with ``hostvars`` and ``groups``.
        state: As for :func:`lab_instance`.

    Raises:
        SpecError: A variable that every inventory has is missing, or one is spelt almost like a known one.
    """
    for key in ("lab", "topology", "profiles"):
        if key not in variables:
            raise SpecError(f"inventory: {key}: missing; see inventory/simulated/group_vars/all for an example")
    _check_spelling(variables)
    groups = {name: [str(host) for host in hosts] for name, hosts in variables["groups"].items()}
    hostvars = variables["hostvars"]
    hosts = {name: _of_worker(hostvars[name]) for name in groups.get("workers", ())}
    hosts |= {name: _of_host(hostvars[name], TARGET_VARIABLES) for name in groups.get("switches", ())}
    found = {key: variables[key] for key in _LAB_KEYS if key in variables}
    for name in groups.get("workers", ())[:1] if "workers_state" in found else ():
        found["workers_state"] = hostvars[name]["workers_state"]  # a play's own variables may still be templates
    plain: dict[str, Any] = json.loads(json.dumps({**found, "groups": groups, "hosts": hosts}))
    return {**plain, "lab_instance": lab_instance(state)}


def _check_spelling(variables: Mapping[str, Any]) -> None:
    """Refuse a variable that is spelt almost like one of ours: Ansible itself would silently ignore it."""
    for name in variables:
        if name not in _KNOWN and not name.startswith("ansible_"):
            near = difflib.get_close_matches(name, _KNOWN, n=1, cutoff=0.88)
            if near:
                raise SpecError(f"inventory or command line: {name}: unknown variable; did you mean {near[0]!r}?")


def _of_worker(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is needed of a worker; nobody logs in to one whose agent is somebody else's."""
    found = _of_host(variables, _WORKER_KEYS)
    return found | (_of_host(variables, LOGIN_VARIABLES) if is_deployed(found) else {})


def _of_host(variables: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: variables[key] for key in keys if key in variables}
