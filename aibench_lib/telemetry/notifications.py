"""Read gNMI notifications, each by itself, into records: device paths become measurement, tags and fields.

The client library's own parser merges all notifications before the sync into one, under the last prefix, and loses
doubles and lists; so only the library's messages are used, not its parser.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pygnmi.create_gnmi_path import gnmi_path_generator
from pygnmi.spec.v080 import gnmi_pb2

from aibench_lib.errors import SpecError
from aibench_lib.model import Record
from aibench_lib.telemetry.measurements import TAGS
from aibench_lib.telemetry.subscription import Subscription
from aibench_lib.telemetry.values import as_integer, as_truth, flatten, scalar

Fields = dict[str, int | bool]
Convert = Callable[[object], int | bool]


@dataclass(eq=False, slots=True)
class _Series:
    """What one set of tags names: a switch, one of its interfaces, or a queue of one."""

    keys: Mapping[str, str]
    tags: dict[str, str]
    """Complete at once where list keys name the series; else filled from the leaves of its messages."""


@dataclass(slots=True)
class _Place:
    """What a device's leaf is to us: a field of a series, a tag of it, or nothing."""

    series: _Series
    field: str = ""
    convert: Convert = as_integer
    tag: str = ""


def device_path(subscription: Subscription) -> gnmi_pb2.Path:
    """Return the subscription's path as a gNMI message.

    Raises:
        SpecError: Not a path.
    """
    try:
        path = gnmi_path_generator(subscription.path)
    except ValueError as error:
        raise SpecError(f"{subscription.host}: telemetry {subscription.path}: not a gNMI path") from error
    if subscription.origin:
        path.origin = subscription.origin
    return path


def list_keys(elements: Iterable[gnmi_pb2.PathElem]) -> dict[str, str]:
    """Return the list keys of a path, under ``key`` and under ``list/key``; the innermost list wins."""
    keys = {}
    for element in elements:
        for key, value in element.key.items():
            keys[key] = keys[f"{element.name}/{key}"] = value
    return keys


class NotificationReader:
    """Reads the notifications of one subscription, in the order they came.

    Paths repeat in every message, so what a path means is looked up by its encoded bytes.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._path = device_path(subscription)
        self._names = _names(self._path.elem)
        self._asked = [
            (place, key, value)
            for place, element in enumerate(self._path.elem)
            for key, value in element.key.items()
            if value != "*"
        ]
        self._tags = TAGS[subscription.measurement]
        self._sources = tuple(subscription.tags.values())
        self._series: dict[tuple[str | None, ...], _Series] = {}
        self._places: dict[bytes, dict[bytes, _Place]] = {}

    def is_about(self, names: tuple[str, ...], keys: Sequence[Mapping[str, str]]) -> bool:
        """Whether a path is at, below or above the subscription's, as far as both go; see :func:`spelt_out`."""
        depth = min(len(names), len(self._names))
        return names[:depth] == self._names[:depth] and all(
            place >= depth or keys[place].get(key, value) == value for place, key, value in self._asked
        )

    def records(
        self, notification: gnmi_pb2.Notification, updates: Iterable[gnmi_pb2.Update] | None = None
    ) -> list[Record]:
        """Return one record a series that the notification has values of.

        Args:
            notification: What has come.
            updates: Those of its updates that are about this subscription; by default all.

        Raises:
            ValueError: The notification has no timestamp, or a value or a tag that cannot be read.
        """
        if notification.timestamp <= 0:
            raise ValueError("a notification has no timestamp")
        found: dict[_Series, Fields] = {}
        prefix = notification.prefix
        places = self._places.setdefault(prefix.SerializeToString(), {})
        for update in notification.update if updates is None else updates:
            encoded = update.path.SerializeToString()
            place = places.get(encoded)
            if place is None:
                elements = (*prefix.elem, *update.path.elem)
                place = places[encoded] = self._place(_names(elements), list_keys(elements))
            value = scalar(update.val)
            if isinstance(value, dict | list):
                names = (*_names(prefix.elem), *_names(update.path.elem))
                for leaf_names, keys, leaf in flatten(value, names, place.series.keys):
                    if self._is_asked(keys):
                        _take(self._place(leaf_names, keys), leaf, found)
            else:
                _take(place, value, found)
        measurement, time_ns = self._subscription.measurement, notification.timestamp
        return [Record(measurement, self._complete(series), fields, time_ns) for series, fields in found.items()]

    def deleted(self, notification: gnmi_pb2.Notification) -> list[Mapping[str, str]]:
        """Return the tags, as far as they are known, of what the device says is gone."""
        paths = [(*notification.prefix.elem, *path.elem) for path in notification.delete]
        return [self._known_tags(list_keys(elements)) for elements in paths if self.is_about(*spelt_out(elements))]

    def _place(self, names: tuple[str, ...], keys: Mapping[str, str]) -> _Place:
        identity = tuple(map(keys.get, self._sources))
        series = self._series.get(identity)
        if series is None:
            series = self._series[identity] = _Series(keys, self._known_tags(keys))
        depth = len(self._names)
        leaf = "/".join(names[depth:]) or names[-1]
        if names[:depth] != self._names:
            return _Place(series)
        field = self._subscription.leaves.get(leaf, "")
        if field:
            return _Place(series, field, self._converter(field))
        tags = [tag for tag, source in self._subscription.tags.items() if source == leaf and source not in series.keys]
        return _Place(series, tag=tags[0] if tags else "")

    def _is_asked(self, keys: Mapping[str, str]) -> bool:
        """Whether a leaf of a tree is about what was asked for: a tree may hold its neighbours in a list, too."""
        return all(keys.get(f"{self._names[place]}/{key}", value) == value for place, key, value in self._asked)

    def _converter(self, field: str) -> Convert:
        word, scale = self._subscription.true_when.get(field), self._subscription.scale.get(field)
        if word is not None:
            return partial(as_truth, word)
        return as_integer if scale is None else partial(_scaled, scale)

    def _known_tags(self, keys: Mapping[str, str]) -> dict[str, str]:
        sources = {"switch": self._subscription.host, **self._subscription.fixed}
        sources.update({tag: keys[source] for tag, source in self._subscription.tags.items() if source in keys})
        for theirs, ours in self._subscription.prefixes.items():
            interface = sources.get("interface", "")
            if interface.startswith(theirs):
                sources["interface"] = ours + interface.removeprefix(theirs)
        return {tag: sources[tag] for tag in self._tags if tag in sources}

    def _complete(self, series: _Series) -> dict[str, str]:
        if len(series.tags) < len(self._tags):
            missing = next(source for tag, source in self._subscription.tags.items() if tag not in series.tags)
            raise ValueError(f"a notification has neither a list key nor a leaf {missing!r}")
        return {tag: series.tags[tag] for tag in self._tags}


def spelt_out(elements: Sequence[gnmi_pb2.PathElem]) -> tuple[tuple[str, ...], list[Mapping[str, str]]]:
    """Return a path's names, and the list keys at each of them, as many readers can compare them fast."""
    return _names(elements), [dict(element.key) for element in elements]


def _names(elements: Iterable[gnmi_pb2.PathElem]) -> tuple[str, ...]:
    return tuple(element.name.rpartition(":")[2] for element in elements)


def _scaled(scale: int, value: object) -> int:
    return as_integer(value) * scale


def _take(place: _Place, value: object, found: dict[_Series, Fields]) -> None:
    """Put a leaf's value where it belongs: into a field of this message, or into the series' tags for good."""
    if place.field:
        try:
            found.setdefault(place.series, {})[place.field] = place.convert(value)
        except ValueError as error:
            raise ValueError(f"{place.field}: {error}") from error
    elif place.tag:
        place.series.tags[place.tag] = str(value)
