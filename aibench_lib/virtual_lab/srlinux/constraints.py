"""What the models demand of a whole configuration of SR Linux: references, mandatory leaves, ``must`` statements."""

from collections.abc import Callable, Iterator, Mapping

from aibench_lib.virtual_lab.gnmi.paths import Elements, schema, text
from aibench_lib.virtual_lab.srlinux.schema import (
    MANDATORY,
    PFC_QUEUE,
    PORT,
    REFERENCES,
    RESERVED,
    SCHEDULER,
    SLOPE,
    UNIQUE,
    Scalar,
)

Leaves = Mapping[Elements, Scalar]
Complaint = tuple[Elements, str]


def complaints(leaves: Leaves) -> Iterator[Complaint]:
    """Yield what is wrong with a configuration: where, and what."""
    seen: dict[tuple[Elements, Scalar], Elements] = {}
    for path, value in leaves.items():
        here = schema(path)
        if here in REFERENCES:
            yield from _reference(leaves, path, str(value), *REFERENCES[here])
        if here in UNIQUE:
            other = seen.setdefault((path[:-2], value), path)
            if other != path:
                yield path, f"value {value} is that of {text(other)} already"
        if len(path) > 1 and path[-1][0] in dict(path[-2][1]):
            yield from _entry(leaves, path[:-1], here.rpartition("/")[0])


def _reference(leaves: Leaves, path: Elements, value: str, entry: str, key: str) -> Iterator[Complaint]:
    if (*_target(entry, key, path, value), (key, ())) not in leaves:
        yield path, f"no {entry.rpartition('/')[2]} with {key} '{value}'"


def _target(entry: str, key: str, path: Elements, value: str) -> Elements:
    """Return the list entry that a reference leads to; a list instance that both lie below is the same one."""
    names = entry.strip("/").split("/")
    shared = next(place for place, name in enumerate([*names, ""]) if place >= len(path) or path[place][0] != name)
    return (*path[:shared], *((name, ()) for name in names[shared:-1]), (names[-1], ((key, value),)))


def _entry(leaves: Leaves, path: Elements, here: str) -> Iterator[Complaint]:
    """Yield what is wrong with one list entry."""
    name = path[-1][1][0][1]
    if here in RESERVED and name == "default":
        yield path, "name 'default' is reserved"
    if here in MANDATORY and _at(leaves, path, MANDATORY[here]) is None:
        yield path, f"mandatory leaf '{MANDATORY[here]}' is missing"
    if here in _ENTRIES:
        yield from _ENTRIES[here](leaves, path, name)


def _slope(leaves: Leaves, path: Elements, _: str) -> Iterator[Complaint]:
    keys = dict(path[-1][1])
    if keys["enable-ecn"] == "true" and keys["traffic-type"] != "all":
        yield path, "traffic-type must be 'all' to enable ecn"
    given = {unit: [_at(leaves, path, f"{end}-threshold{unit}") for end in ("min", "max")] for unit in ("", "-percent")}
    for unit, (low, high) in given.items():
        if low is not None and high is not None and int(str(low)) > int(str(high)):
            yield path, f"min-threshold{unit} {low} must not exceed max-threshold{unit} {high}"
    if all(any(value is not None for value in pair) for pair in given.values()):
        yield path, "percentage and absolute values cannot be configured together"


def _pfc_queue(leaves: Leaves, path: Elements, name: str) -> Iterator[Complaint]:
    index = _at(leaves, path, "queue-index")
    if name in [f"pfc{number}" for number in range(8)] and index is not None and name != f"pfc{index}":
        yield path, "default pfc queue's cannot be modified"


def _scheduler(leaves: Leaves, path: Elements, sequence: str) -> Iterator[Complaint]:
    if (sequence == "0") != (_at(leaves, path, "priority") == "strict"):
        yield (
            path,
            "scheduler with sequence 0 must be strict priority and scheduler with sequence 1 must be weighted RR",
        )


def _port(leaves: Leaves, path: Elements, name: str) -> Iterator[Complaint]:
    """Yield what is bound to the wrong one: port policies to a subinterface, classifiers to a port."""
    subinterface = _at(leaves, path, "interface-ref/subinterface") is not None
    if _at(leaves, path, "interface-ref/interface") is None:
        if subinterface:
            yield path, "interface must be configured when subinterface is set"
        elif (("interface", (("name", name),)), ("name", ())) not in leaves:
            yield path, f"there is no interface '{name}'"
    if not subinterface and _at(leaves, path, "input/classifiers") is not None:
        yield path, "Attachment of classifiers, not permitted for interfaces"
    if subinterface and _at(leaves, path, "pfc/pfc-mapping-profile") is not None:
        yield path, "Attachment of pfc, not permitted for sub-interfaces"
    if subinterface and _at(leaves, path, "output/scheduler/scheduler-policy") is not None:
        yield path, "Attachment of a scheduler only permitted for interfaces"


_ENTRIES: Mapping[str, Callable[[Leaves, Elements, str], Iterator[Complaint]]] = {
    SLOPE: _slope,
    PFC_QUEUE: _pfc_queue,
    SCHEDULER: _scheduler,
    PORT: _port,
}


def _at(leaves: Leaves, path: Elements, below: str) -> Scalar | None:
    return leaves.get((*path, *((name, ()) for name in below.split("/"))))
