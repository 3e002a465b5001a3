"""What is sent to SR Linux over gNMI, held to the vendor's models (srlinux-yang-models v25.3.1).

The models are written down anew here: the simulated switch's schema could have the same mistake as the templates.
"""

import json
import re
from pathlib import Path

import pytest
import yaml

from aibench_lib.platforms import load_platform
from aibench_lib.spec import load_yaml
from aibench_lib.switch.setting import parse_setting
from aibench_lib.switch.target import Target

POINTS = load_yaml(Path(__file__).resolve().parent.parent / "golden" / "switch" / "nokia_srlinux" / "points.yml")
PLATFORM = load_platform("nokia_srlinux")

Q = "/qos"
PORT = f"{Q}/interfaces/interface"
PROFILE = f"{Q}/buffer-management/queue-management-profile"
SLOPE = f"{PROFILE}/wred/wred-slope"
ALLOCATION = f"{Q}/buffer-management/buffer-allocation-profile"
MAPPING = f"{Q}/pfc-mapping-profile"
TAKEN = f"{MAPPING}/received-traffic/unicast-mapping/pfc-queue"
OBEYED = f"{MAPPING}/received-pfc-pause-frames"
POLICY = f"{Q}/scheduler-policies/scheduler-policy"
SCHEDULER = f"{POLICY}/scheduler"
HOP = "/network-instance/next-hop-groups/group/nexthop"
ROUTE = "/network-instance/static-routes/route"
HASH = "/system/load-balancing/hash-options"

KEYS = {
    "/interface": {"name"},
    "/network-instance": {"name"},
    "/network-instance/next-hop-groups/group": {"name"},
    HOP: {"index"},
    ROUTE: {"prefix"},
    PORT: {"interface-id"},
    f"{PORT}/output/queues/queue": {"queue-name"},
    PROFILE: {"name"},
    SLOPE: {"traffic-type", "drop-probability", "enable-ecn"},
    ALLOCATION: {"name"},
    f"{ALLOCATION}/queues/pfc-queue": {"pfc-queue-name"},
    MAPPING: {"name"},
    TAKEN: {"pfc-queue-name"},
    f"{OBEYED}/queue": {"queue-name"},
    POLICY: {"name"},
    SCHEDULER: {"sequence"},
    f"{SCHEDULER}/input": {"id"},
    f"{Q}/queues/pfc-queue": {"pfc-queue-name"},
    f"{Q}/forwarding-classes/forwarding-class": {"name"},
    f"{Q}/classifiers/dscp-policy": {"name"},
    f"{Q}/classifiers/dscp-policy/dscp": {"value"},
}


def number(low, high):
    """A leaf of at most 32 bits: a JSON number."""
    return lambda value: type(value) is int and low <= value <= high


def wide(value):
    """A 64-bit leaf: a JSON string of digits (RFC 7951)."""
    return isinstance(value, str) and value.isdecimal() and int(value) < 1 << 64


def truth(value):
    """A boolean."""
    return type(value) is bool


def name(value):
    """A name or a reference."""
    return isinstance(value, str) and bool(value)


def one_of(*words):
    """An enumeration."""
    return lambda value: value in words


LEAVES = {
    "/interface/admin-state": one_of("enable", "disable"),
    f"{SLOPE}/min-threshold": wide,
    f"{SLOPE}/max-threshold": wide,
    f"{SLOPE}/max-drop-probability-percent": number(0, 100),
    f"{SLOPE}/slope-enabled": truth,
    f"{PORT}/interface-ref/interface": name,
    f"{PORT}/interface-ref/subinterface": number(0, 9999),
    f"{PORT}/output/queues/queue/queue-management-profile": name,
    f"{PORT}/output/scheduler/scheduler-policy": name,
    f"{PORT}/input/pfc-buffer-allocation-profile": name,
    f"{PORT}/input/classifiers/dscp-policy": name,
    f"{PORT}/pfc/pfc-mapping-profile": name,
    f"{PORT}/pfc/pfc-enable": truth,
    f"{Q}/queues/pfc-queue/queue-index": number(0, 7),
    f"{Q}/forwarding-classes/forwarding-class/output/unicast-queue": name,
    f"{Q}/classifiers/dscp-policy/dscp/forwarding-class": name,
    f"{TAKEN}/forwarding-class": lambda value: isinstance(value, list) and all(map(name, value)),
    f"{TAKEN}/pfc-pause-frame-priority": number(0, 7),
    f"{OBEYED}/queue/pfc-pause-frame-priority": number(0, 7),
    f"{OBEYED}/queue/enable-pfc": truth,
    f"{OBEYED}/deadlock/enable": truth,
    f"{OBEYED}/deadlock/detection-timer": number(10, 1500),
    f"{OBEYED}/deadlock/recovery-timer": number(100, 1500),
    f"{ALLOCATION}/name": name,
    f"{ALLOCATION}/queues/pfc-queue/maximum-burst-size": number(0, (1 << 32) - 1),
    f"{ALLOCATION}/queues/pfc-queue/maximum-pfc-reserved-share-bytes": number(0, 104_857_600),
    f"{SCHEDULER}/priority": one_of("strict"),
    f"{SCHEDULER}/input/input-type": one_of("queue"),
    f"{SCHEDULER}/input/queue-name": name,
    f"{SCHEDULER}/input/weight": number(1, 127),
    f"{HASH}/source-address": truth,
    f"{HASH}/destination-address": truth,
    f"{HASH}/source-port": truth,
    f"{HASH}/destination-port": truth,
    f"{HOP}/ip-address": name,
    f"{HOP}/resolve": truth,
    f"{ROUTE}/next-hop-group": name,
}
"""The leaves that may be written, and what a JSON value of each looks like."""


def sent(point):
    """Return what a point's template renders."""
    target = Target(
        host="leaf1",
        address="192.0.2.1",
        platform="nokia_srlinux",
        username="admin",
        password="secret",
        options=POINTS["options"],
    )
    setting = parse_setting(target, point["feature"], point["values"])
    return yaml.safe_load(setting.rendered(setting.requested)) or []


def elements(path):
    """Return names and keys of a path; values may hold slashes."""
    found = re.findall(r"/([\w-]+)((?:\[[^\]]*\])*)", path)
    assert "".join(name + keys for name, keys in found) == "".join(re.split(r"/(?![^\[]*\])", path)), path
    return [(name, dict(re.findall(r"\[([\w-]+)=([^\]]+)\]", keys))) for name, keys in found]


def checked(path):
    """Return a path without its keys, all of which it must have."""
    here = ""
    for element, keys in elements(path):
        here = f"{here}/{element}"
        assert set(keys) == KEYS.get(here, set()), path
    return here


def leaves(here, value):
    """Yield every leaf of a value with its path; an entry of a list must have its keys."""
    if here in LEAVES:
        yield here, value
    elif isinstance(value, list):
        for entry in value:
            assert set(entry) >= KEYS[here], (here, entry)
            assert all(map(name, (entry[key] for key in KEYS[here]))), (here, entry)
            yield from leaves(here, {element: inner for element, inner in entry.items() if element not in KEYS[here]})
    else:
        assert isinstance(value, dict), (here, value)
        for element, inner in value.items():
            yield from leaves(f"{here}/{element}", inner)


@pytest.mark.parametrize("point", POINTS["points"].values(), ids=POINTS["points"])
def test_every_leaf_is_one_of_the_models_with_a_value_of_its_type(point):
    entries = sent(point)
    assert all(set(entry) in ({"path", "value"}, {"delete"}) for entry in entries)
    for entry in entries:
        if "delete" in entry:
            checked(entry["delete"])
            continue
        value = json.loads(json.dumps(entry["value"]))
        for here, found in leaves(checked(entry["path"]), value):
            assert here in LEAVES, f"{here} is not in the models"
            assert LEAVES[here](found), f"{here}: {found!r}"


@pytest.mark.parametrize("point", POINTS["points"].values(), ids=POINTS["points"])
def test_everything_that_is_written_is_in_the_snapshot(point):
    ports = POINTS["options"]["interfaces"]
    held = [place.replace("{interface}", port) for place in PLATFORM.gnmi.snapshot for port in ports]
    for entry in sent(point):
        path = entry.get("path") or entry["delete"]
        written = [f"{path}/{leaf}" for leaf in entry.get("value", ())] or [path]
        for leaf in written:
            assert any(leaf == place or leaf.startswith((f"{place}/", f"{place}[")) for place in held)


@pytest.mark.parametrize("feature", PLATFORM.features.values(), ids=PLATFORM.features)
def test_what_is_read_back_is_read_where_the_models_have_it(feature):
    for path, below in feature.read_back.paths.items():
        here = checked(path)
        for leaf in below.values():
            whole = f"{here}/{leaf}"
            assert whole in LEAVES or leaf in KEYS.get(here, ()), whole


def test_classifiers_are_attached_to_subinterfaces_and_everything_else_to_ports():
    for point in POINTS["points"].values():
        for entry in sent(point):
            port = re.match(rf"{PORT}\[interface-id=([^\]]+)\]", entry.get("path", ""))
            if port:
                assert (port[1].endswith(".0")) == (point["feature"] == "dscp")
