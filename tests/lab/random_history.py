"""What a run may ask of a switch, drawn at random from what its platform says that it takes."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aibench_lib.journal import Journal
from aibench_lib.platforms import Choice, Feature, Platform, Range

Draw = tuple[str, dict[str, Any]]
"""A feature and its values."""


class Drawer:
    """Draws settings of one platform.

    Args:
        platform: Whose ranges and words they are from.
        points: Those of its golden files.
        ports: The switch's interfaces.
        options: The switch's.
        dice: What decides.
    """

    def __init__(
        self,
        platform: Platform,
        points: Sequence[Mapping[str, Any]],
        ports: Sequence[str],
        options: Mapping[str, Any],
        dice: random.Random,
    ) -> None:
        self._platform = platform
        self._points = points
        self._ports = ports
        self._options = options
        self._dice = dice

    def attainable(self) -> Draw:
        """Return a setting that the platform says it takes: one of the golden files', or any other."""
        if self._dice.random() < 0.4:  # two of five
            point = self._dice.choice(self._points)
            return point["feature"], self._here(point["values"])
        feature = self._dice.choice([name for name in self._platform.features if name in _VALUES])
        return feature, _VALUES[feature](self, self._platform.feature(feature))

    def unattainable(self) -> Draw | None:
        """Return a setting of which one value is just outside a range, or a word that the platform lacks; or None."""
        found = []
        for feature, facts in self._platform.features.items():
            for name, limits in {**facts.ranges, **facts.choices}.items():
                values = self._outside(limits)
                found += [(feature, name, value) for value in values]
        if not found:
            return None
        feature, name, value = self._dice.choice(found)
        values = _VALUES[feature](self, self._platform.feature(feature))
        if feature == "pfc_watchdog":
            values = self._watchdog(self._platform.feature(feature), word="on")
        if name == "weight_percent":
            values["scheduling"] = "weighted"
        if name == "flowlet_gap_us":
            values["load_balancing"] = "flowlet"
        if feature == "pfc":
            values = {}
        if feature == "ecn" and name != "probability_percent":
            values |= {"kmin_bytes": value, "kmax_bytes": value}
        return feature, {**values, name: value}

    def _outside(self, limits: Range | Choice) -> list[Any]:
        if isinstance(limits, Choice):
            return list(limits.lacking)
        quantum = limits.quantum(self._options)
        odd = [int(limits.min * quantum) + 1] if limits.step > 1 or (quantum > 1 and not limits.percent_of) else []
        return [int((limits.min - 1) * quantum), int((limits.max + 1) * quantum), *odd]

    def _within(self, limits: Range) -> int:
        few = min(limits.max, limits.min + 10 * limits.step)
        told = self._dice.choice(
            [limits.min, limits.max, few, round(limits.min + (limits.max - limits.min) ** self._dice.random())]
        )
        told = min(limits.max, max(limits.min, told - told % limits.step))
        return int(told * limits.quantum(self._options))

    def _word(self, facts: Feature, name: str) -> Any:
        return self._dice.choice(facts.choices[name].values)

    def _here(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a golden point with this lab's interfaces."""
        there = dict(values)
        if "interface" in there:
            there["interface"] = self._dice.choice(self._ports)
        if "routes" in there:
            ports = self._ports
            there["routes"] = [
                {**route, "interface": ports[number % len(ports)]} for number, route in enumerate(there["routes"])
            ]
        return there

    def _ecn(self, facts: Feature) -> dict[str, Any]:
        low, high = sorted(self._within(facts.ranges[name]) for name in ("kmin_bytes", "kmax_bytes"))
        values = {"kmin_bytes": low, "kmax_bytes": high}
        if any(facts.ranges[name].refusal(value, self._options) for name, value in values.items()):
            values = dict.fromkeys(values, self._within(facts.ranges["kmin_bytes"]))
        return {**values, "probability_percent": self._within(facts.ranges["probability_percent"])}

    def _pfc_priority(self, facts: Feature) -> dict[str, Any]:
        return {"pfc": self._word(facts, "pfc")}

    def _pfc(self, facts: Feature) -> dict[str, Any]:
        values = {name: self._within(limits) for name, limits in facts.ranges.items()}
        values |= {name: self._word(facts, name) for name in facts.choices}
        for others in facts.exclusive:
            values = {
                name: value for name, value in values.items() if name not in others or name == self._dice.choice(others)
            }
        kept = self._dice.sample(sorted(values), self._dice.randint(1, len(values)))
        return {name: values[name] for name in kept}

    def _watchdog(self, facts: Feature, word: str | None = None) -> dict[str, Any]:
        word = word or self._word(facts, "watchdog")
        timers = {name: self._within(limits) for name, limits in facts.ranges.items()}
        return {"watchdog": word, **(timers if word == "on" else {})}

    def _dscp(self, _: Feature) -> dict[str, Any]:
        return {"dscp": self._dice.choice([0, 63, self._dice.randint(0, 63)])}

    def _scheduling(self, facts: Feature) -> dict[str, Any]:
        word = self._word(facts, "scheduling")
        return {"scheduling": word} | (
            {"weight_percent": self._within(facts.ranges["weight_percent"])} if word == "weighted" else {}
        )

    def _load_balancing(self, facts: Feature) -> dict[str, Any]:
        word = self._word(facts, "load_balancing")
        gap = facts.ranges.get("flowlet_gap_us")
        return {"load_balancing": word} | ({"flowlet_gap_us": self._within(gap)} if gap and word == "flowlet" else {})

    def _hash_fields(self, facts: Feature) -> dict[str, Any]:
        return {"hash_fields": self._word(facts, "hash_fields")}

    def _interface(self, facts: Feature) -> dict[str, Any]:
        return {"interface": self._dice.choice(self._ports), "admin": self._word(facts, "admin")}

    def _routing_detour(self, _: Feature) -> dict[str, Any]:
        prefixes = self._dice.sample(range(1, 20), self._dice.randint(1, 3))
        routes = [
            {
                "prefix": f"10.1.0.{number}/32",
                "next_hop": f"10.2.0.{self._dice.randint(0, 7)}",
                "interface": self._dice.choice(self._ports),
            }
            for number in prefixes
        ]
        return {"routes": routes}


def lose_checkpoint(switch: Any, journal: Journal) -> None:
    """Remove a run's checkpoint behind the wires, so that the text on our side alone is left."""
    kept = [event["checkpoint"] for event in journal.events() if event["event"] == "checkpoint_saved"]
    for holder in (getattr(switch, kind, {}) for kind in ("checkpoints", "files")):
        for name in [name for name in holder if any(one in name for one in kept)]:
            del holder[name]


_VALUES: dict[str, Callable[[Drawer, Feature], dict[str, Any]]] = {
    "ecn": Drawer._ecn,
    "pfc_priority": Drawer._pfc_priority,
    "pfc": Drawer._pfc,
    "pfc_watchdog": Drawer._watchdog,
    "dscp": Drawer._dscp,
    "scheduling": Drawer._scheduling,
    "load_balancing": Drawer._load_balancing,
    "hash_fields": Drawer._hash_fields,
    "interface": Drawer._interface,
    "routing_detour": Drawer._routing_detour,
}
