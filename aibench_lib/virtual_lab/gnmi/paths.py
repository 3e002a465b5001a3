"""gNMI paths as tuples, which can be compared, matched with wildcards, and printed."""

import functools
import re
from collections.abc import Iterable, Mapping

from pygnmi.spec.v080 import gnmi_pb2

Element = tuple[str, tuple[tuple[str, str], ...]]
"""A name, and sorted pairs of key and value."""
Elements = tuple[Element, ...]

_WILDCARD = "*"


def from_proto(*paths: gnmi_pb2.Path) -> Elements:
    """Return the elements of a prefix and a path, joined; module names before a colon are dropped."""
    return tuple((bare(elem.name), tuple(sorted(elem.key.items()))) for path in paths for elem in path.elem)


def to_proto(elements: Elements) -> gnmi_pb2.Path:
    """Return the gNMI message of a path."""
    return gnmi_pb2.Path(elem=[gnmi_pb2.PathElem(name=name, key=dict(keys)) for name, keys in elements])


@functools.cache  # a subscription looks at every path of a switch
def parse(text: str) -> Elements:
    """Return the elements of a path as written in the documentation: ``/a/b[key=value]/c``."""
    elements = []
    for name, keys in re.findall(r"/([^/\[]+)((?:\[[^\]]*\])*)", text):
        pairs = re.findall(r"\[([^=]+)=([^\]]*)\]", keys)
        elements.append((name, tuple(sorted(pairs))))
    return tuple(elements)


def text(elements: Iterable[Element]) -> str:
    """Return a path as written in the documentation."""
    return "".join(f"/{name}" + "".join(f"[{key}={value}]" for key, value in keys) for name, keys in elements) or "/"


def schema(elements: Iterable[Element]) -> str:
    """Return a path without its keys."""
    return "".join(f"/{name}" for name, _ in elements)


def without_keys(elements: Iterable[Element]) -> Elements:
    """Return a path that stands for every entry of the lists on it."""
    return tuple((name, ()) for name, _ in elements)


def bare(name: str) -> str:
    """Return a name without the module that it may be qualified with."""
    return name.rpartition(":")[2]


def covers(pattern: Elements, elements: Elements) -> bool:
    """Whether a path is at or below a pattern, in which a missing key or ``*`` stands for every value."""
    return len(pattern) <= len(elements) and all(map(_element_matches, pattern, elements))


def overlap(pattern: Elements, elements: Elements) -> bool:
    """Whether one of two paths is at or below the other, as far as both go."""
    return all(_element_matches(wanted, there) for wanted, there in zip(pattern, elements, strict=False))


def _element_matches(wanted: Element, there: Element) -> bool:
    if wanted[0] not in (there[0], _WILDCARD):
        return False
    values: Mapping[str, str] = dict(there[1])
    return all(value in (_WILDCARD, values.get(key)) for key, value in wanted[1])
