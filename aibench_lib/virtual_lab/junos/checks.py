"""What `commit` and `commit check` refuse: statements that contradict each other or name what is not defined."""

from collections.abc import Iterator
from dataclasses import dataclass

from aibench_lib.virtual_lab.junos.config import Config

_COS = "class-of-service"
_MOST_LOSSLESS = 6
_PROFILE_POINTS = 2


@dataclass(frozen=True)
class Fault:
    """Something that keeps a configuration from being committed."""

    place: str
    """The level of the hierarchy."""
    statement: str
    message: str

    def text(self) -> str:
        """Return it as the switch prints it."""
        return f"[edit {self.place}]\n  '{self.statement}'\n    {self.message}\n"


def faults(config: Config) -> list[Fault]:
    """Return everything that is wrong with a configuration."""
    return [
        *_undefined(config),
        *_drop_profiles(config),
        *_notification(config),
        *_buffers(config),
        *_classes(config),
        *_forwarding(config),
    ]


_REFERENCES = (
    ("drop-profile", (_COS, "drop-profiles")),
    ("scheduler", (_COS, "schedulers")),
    ("scheduler-map", (_COS, "scheduler-maps")),
    ("congestion-notification-profile", (_COS, "congestion-notification-profile")),
    ("export", ("policy-options", "policy-statement")),
)
"""The word before a name, and where what it names is defined."""


def _undefined(config: Config) -> Iterator[Fault]:
    for path in config.paths():
        for word, place in _REFERENCES:
            if (
                len(path) > 1
                and path[-2] == word
                and path[: len(place)] != place
                and path[-1] not in config.values(*place)
            ):
                yield _fault(path, f"{word} {path[-1]} is referenced but not defined")
    classifiers = config.values(_COS, "classifiers", "dscp")
    for path in config.paths(_COS, "interfaces"):
        if path[-3:-1] == ("classifiers", "dscp") and path[-1] not in classifiers:
            yield _fault(path, f"classifier {path[-1]} is referenced but not defined")
    yield from _undefined_classes(config)


def _undefined_classes(config: Config) -> Iterator[Fault]:
    classes = config.values(_COS, "forwarding-classes", "class")
    aliases = config.values(_COS, "code-point-aliases", "dscp")
    for path in (*config.paths(_COS, "classifiers"), *config.paths(_COS, "scheduler-maps")):
        if "forwarding-class" in path:
            name = path[path.index("forwarding-class") + 1]
            if name not in classes:
                yield _fault(path, f"forwarding-class {name} is referenced but not defined")
        if path[-2] == "code-points" and not path[-1].isdigit() and path[-1] not in aliases:
            yield _fault(path, f"code-point alias {path[-1]} is referenced but not defined")


def _drop_profiles(config: Config) -> Iterator[Fault]:
    for name in config.values(_COS, "drop-profiles"):
        place = (_COS, "drop-profiles", name, "interpolate")
        levels = [int(value) for value in config.values(*place, "fill-level")]
        chances = [int(value) for value in config.values(*place, "drop-probability")]
        if len(levels) != len(chances) or (levels and len(levels) != _PROFILE_POINTS):
            yield Fault(" ".join(place[:3]), "interpolate", "give two fill-levels and as many drop-probabilities")
        elif levels and (levels[0] >= levels[1] or chances[0] != 0):
            yield Fault(
                " ".join(place[:3]),
                "interpolate",
                "the low fill-level must be less than the high one, and the first drop-probability 0",
            )


def _notification(config: Config) -> Iterator[Fault]:
    for name in config.values(_COS, "congestion-notification-profile"):
        place = (_COS, "congestion-notification-profile", name, "input")
        if config.has(*place, "dscp") and config.has(*place, "ieee-802.1"):
            yield Fault(" ".join(place[:3]), "input", "dscp and ieee-802.1 cannot be configured under the same profile")
        for path in config.paths(*place):
            if path[-2] == "xon" and not config.has(*path[:-2], "pfc"):
                yield _fault(path[:-1], "xon cannot be configured without pfc")


def _buffers(config: Config) -> Iterator[Fault]:
    for side in ("ingress", "egress"):
        place = (_COS, "shared-buffer", side, "buffer-partition")
        shares = [int(path[-1]) for path in config.paths(*place) if path[-2] == "percent"]
        if shares and sum(shares) != 100:
            yield Fault(" ".join(place[:3]), "buffer-partition", "the percentages of the partitions must total 100")


def _classes(config: Config) -> Iterator[Fault]:
    paths = config.paths(_COS, "forwarding-classes", "class")
    if len([path for path in paths if path[-1] == "no-loss"]) > _MOST_LOSSLESS:
        yield Fault(f"{_COS} forwarding-classes", "class", f"at most {_MOST_LOSSLESS} classes can be no-loss")


def _forwarding(config: Config) -> Iterator[Fault]:
    place = ("forwarding-options", "enhanced-hash-key")
    if config.has(*place, "ecmp-dlb") and config.has(*place, "ecmp-resilient-hash"):
        yield Fault(" ".join(place), "ecmp-dlb", "ecmp-dlb and ecmp-resilient-hash cannot be configured together")
    modes = [mode for mode in config.values(*place, "ecmp-dlb") if mode != "ether-type"]
    if len(modes) > 1:
        yield Fault(" ".join(place), "ecmp-dlb", f"only one of {', '.join(modes)} can be configured")


def _fault(path: tuple[str, ...], message: str) -> Fault:
    return Fault(" ".join(path[:-2]), " ".join(path[-2:]), message)
