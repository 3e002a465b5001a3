"""The configuration of a simulated SR Linux switch: leaves by path, checked against the schema, changed all or none."""

from collections.abc import Collection, Mapping
from typing import Any

from aibench_lib.virtual_lab.gnmi.paths import Elements, bare, covers, parse, schema, text
from aibench_lib.virtual_lab.srlinux.constraints import complaints
from aibench_lib.virtual_lab.srlinux.schema import CONTAINERS, LEAVES, LISTS, PRESENCE, Scalar


class ConfigError(Exception):
    """What the switch answers to a change that it does not accept.

    Args:
        reason: Why.
        path: Where; empty where the reason names it.
    """

    def __init__(self, reason: str, path: Elements = ()) -> None:
        super().__init__(f"{text(path)}: {reason}" if path else reason)
        self.reason = reason
        self.path = path


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

    def become(self, leaves: Mapping[Elements, Scalar]) -> None:
        """Replace everything by the leaves of another configuration."""
        self.leaves = dict(leaves)

    def check(self) -> None:
        """Check what no leaf can see alone.

        Raises:
            ConfigError: A reference leads nowhere, a value is there twice, or a slope contradicts itself.
        """
        for path, reason in complaints(self.leaves):
            raise ConfigError(reason, path)

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
            if here == "/interface" and value not in self._interfaces:
                raise ConfigError(f"there is no interface '{value}'", path)
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
            raise ConfigError(f"expected an object, found {value!r}", path)
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
                raise ConfigError(f"an entry needs its keys: {', '.join(keys)}", (*path, (name, ())))
            pairs = tuple(sorted((key, _key_text(given[key])) for key in keys))
            self.update((*path, (name, pairs)), given)

    def _put(self, path: Elements, value: object) -> None:
        typed = _typed(path, value)
        key = dict(path[-2][1]).get(path[-1][0]) if len(path) > 1 else None
        if key is not None and key != _key_text(typed):
            raise ConfigError(f"{value!r} contradicts the key in the path", path)
        self.leaves[path] = typed


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
