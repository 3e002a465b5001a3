"""The configuration of a simulated SR Linux switch: leaves by path, checked against the schema, changed all or none."""

from collections.abc import Collection, Mapping
from typing import Any

from aibench_lib.virtual_lab.gnmi.paths import Elements, bare, covers, parse, schema, text
from aibench_lib.virtual_lab.srlinux.schema import CONTAINERS, LEAVES, LISTS, PRESENCE, REFERENCES, UNIQUE, Scalar

_INTERFACES = ("/interface", "/qos/interfaces/interface")
"""Lists whose entries are the switch's own ports."""


class ConfigError(Exception):
    """What the switch answers to a change that it does not accept."""


class Config:
    """Leaves by path; the keys of a list entry are leaves, too, and stand for the entry's being there."""

    def __init__(self, interfaces: Collection[str], leaves: Mapping[Elements, Scalar] | None = None) -> None:
        self._interfaces = interfaces
        self.leaves: dict[Elements, Scalar] = dict(leaves or {})

    def copy(self) -> "Config":
        """Return an independent copy."""
        return Config(self._interfaces, self.leaves)

    def delete(self, path: Elements) -> None:
        """Remove what is at or below a path; nothing there is no error.

        Raises:
            ConfigError: The path is not in the schema.
        """
        self._check_path(path, wildcards=True)
        self.leaves = {leaf: value for leaf, value in self.leaves.items() if not covers(path, leaf)}

    def update(self, path: Elements, value: object) -> None:
        """Merge a value, a leaf's or a subtree's, into what is at a path.

        Raises:
            ConfigError: A path is not in the schema, or a value is not of its type.
        """
        self._check_path(path)
        for end in range(1, len(path) + 1):
            self._make_entry(path[:end])
        self._merge(path, value)

    def check(self) -> None:
        """Check what no leaf can see alone.

        Raises:
            ConfigError: A reference leads nowhere, a value is there twice, or a slope contradicts itself.
        """
        for path, value in self.leaves.items():
            here = schema(path)
            reference = REFERENCES.get(here)
            if reference is not None and (*_target(reference, path, str(value)), (reference[1], ())) not in self.leaves:
                raise ConfigError(f"{text(path)}: no {reference[0].rpartition('/')[2]} with {reference[1]} '{value}'")
            if here.endswith("/wred-slope/enable-ecn"):
                self._check_slope(path[:-1])
        for leaf in UNIQUE:
            self._check_unique(leaf)

    def existing(self, path: Elements) -> list[Elements]:
        """Return the paths that a path with wildcards stands for, as far as there is configuration.

        Raises:
            ConfigError: The path is not in the schema.
        """
        self._check_path(path, wildcards=True)
        return sorted({leaf[: len(path)] for leaf in self.leaves if covers(path, leaf)})

    def subtree(self, path: Elements) -> object:
        """Return what is at a path: a leaf's value, nested mappings and lists, or None."""
        if path in self.leaves and schema(path) in LEAVES:
            return self.leaves[path]
        tree: dict[str, Any] = {}
        for leaf, value in sorted(self.leaves.items()):
            if covers(path, leaf):
                _plant(tree, leaf[len(path) :], value, schema(path))
        return tree or (True if path in self.leaves else None)

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""
        return self.leaves.get((*parse(f"/interface[name={interface}]"), ("admin-state", ()))) == "disable"

    def _check_slope(self, path: Elements) -> None:
        for unit in ("", "-percent"):
            low = self.leaves.get((*path, (f"min-threshold{unit}", ())))
            high = self.leaves.get((*path, (f"max-threshold{unit}", ())))
            if low is not None and high is not None and int(str(low)) > int(str(high)):
                raise ConfigError(f"{text(path)}: min-threshold{unit} {low} must not exceed max-threshold{unit} {high}")
        names = {leaf[-1][0] for leaf in self.leaves if leaf[:-1] == path}
        if any(name.endswith("threshold") for name in names) and any(name.endswith("d-percent") for name in names):
            raise ConfigError(f"{text(path)}: thresholds are given both in bytes and in percent")

    def _check_unique(self, leaf: str) -> None:
        seen: dict[tuple[Elements, Scalar], Elements] = {}
        for path, value in self.leaves.items():
            if schema(path) == leaf:
                other = seen.setdefault((path[:-2], value), path)
                if other != path:
                    raise ConfigError(f"{text(path)}: value {value} is that of {text(other)} already")

    def _check_path(self, path: Elements, *, wildcards: bool = False) -> None:
        for end in range(1, len(path) + 1):
            here = schema(path[:end])
            if here not in CONTAINERS and here not in LEAVES:
                raise ConfigError(f"Invalid path '{text(path)}': no element '{path[end - 1][0]}' in the schema")
            keys = dict(path[end - 1][1])
            unknown = set(keys) - set(LISTS.get(here, ()))
            if unknown or not (wildcards or set(keys) == set(LISTS.get(here, ()))):
                wanted = ", ".join(LISTS.get(here, ())) or "none"
                raise ConfigError(f"Invalid path '{text(path)}': keys of '{path[end - 1][0]}' are: {wanted}")

    def _make_entry(self, path: Elements) -> None:
        here = schema(path)
        for key, value in path[-1][1]:
            leaf = (*path, (key, ()))
            self.leaves[leaf] = _typed(leaf, value)
            if here in _INTERFACES and value not in self._interfaces:
                raise ConfigError(f"{text(path)}: there is no interface '{value}'")
        if here in PRESENCE:
            self.leaves[path] = True

    def _merge(self, path: Elements, value: object) -> None:
        here = schema(path)
        if here in LEAVES:
            self._put(path, value)
            return
        if not isinstance(value, Mapping):
            if here in PRESENCE and value is True:
                return
            raise ConfigError(f"{text(path)}: expected an object, found {value!r}")
        for name, inner in value.items():
            name = bare(name)
            child = f"{here}/{name}"
            if child in LISTS:
                self._merge_list(path, name, inner)
            else:
                self.update((*path, (name, ())), inner)

    def _merge_list(self, path: Elements, name: str, items: object) -> None:
        keys = LISTS[f"{schema(path)}/{name}"]
        for item in items if isinstance(items, list) else [items]:
            given = {bare(key): value for key, value in item.items()} if isinstance(item, Mapping) else {}
            if not set(keys) <= set(given):
                raise ConfigError(f"{text(path)}/{name}: an entry needs its keys: {', '.join(keys)}")
            pairs = tuple(sorted((key, _key_text(given[key])) for key in keys))
            self.update((*path, (name, pairs)), given)

    def _put(self, path: Elements, value: object) -> None:
        typed = _typed(path, value)
        key = dict(path[-2][1]).get(path[-1][0]) if len(path) > 1 else None
        if key is not None and key != _key_text(typed):
            raise ConfigError(f"{text(path)}: {value!r} contradicts the key in the path")
        self.leaves[path] = typed


def _target(reference: tuple[str, str], path: Elements, value: str) -> Elements:
    """Return the list entry that a reference leads to; a list instance that both lie below is the same one."""
    names = reference[0].strip("/").split("/")
    shared = next(place for place, name in enumerate([*names, ""]) if place >= len(path) or path[place][0] != name)
    return (*path[:shared], *((name, ()) for name in names[shared:-1]), (names[-1], ((reference[1], value),)))


def _typed(path: Elements, value: object) -> Scalar:
    try:
        return LEAVES[schema(path)].read(value)
    except ValueError as error:
        raise ConfigError(f"Invalid value {value!r} for '{text(path)}': {error}") from error


def _key_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plant(tree: dict[str, Any], path: Elements, value: Scalar, above: str) -> None:
    """Put one leaf into nested mappings; list entries are told apart by their keys."""
    for name, keys in path[:-1]:
        above = f"{above}/{name}"
        if above in LISTS:
            wanted = {key: LEAVES[f"{above}/{key}"].read(text) for key, text in keys}
            siblings = tree.setdefault(name, [])
            entry = next((item for item in siblings if wanted.items() <= item.items()), None)
            if entry is None:
                entry = dict(wanted)
                siblings.append(entry)
            tree = entry
        else:
            tree = tree.setdefault(name, {})
    if path:
        name = path[-1][0]
        if f"{above}/{name}" in PRESENCE:
            tree.setdefault(name, {})
        else:
            tree[name] = value
