"""What is asked of a switch: values checked against the platform, and rendered into its words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import jinja2

from aibench_lib.errors import NotAttainable, SpecError
from aibench_lib.platforms import TEMPLATES, Feature, Platform, load_platform, platform_names
from aibench_lib.switch.target import Target
from aibench_lib.switch.values import asked_values, check_whole

INTERFACE = "{interface}"
"""A read-back path with this placeholder is read for each of the target's ``interfaces``."""
PREFIX = "{prefix}"
"""A read-back path with this placeholder is read for each of the routes that are asked for."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One feature of one switch with the values that are asked for."""

    target: Target
    platform: Platform
    feature: str
    requested: Mapping[str, Any]
    """The platform's values, such as ``kmin_bytes``; what the template always sets is in it too."""
    named: Mapping[str, Any] = field(default_factory=dict)
    """Which one is meant, such as an interface; not read back."""

    @property
    def facts(self) -> Feature:
        """The platform's facts of this feature."""
        return self.platform.feature(self.feature)

    @property
    def prefixes(self) -> list[str]:
        """The routes that are asked for, by their prefix; empty where the feature has none."""
        return next((list(self.requested[name]) for name in self.facts.each), [])

    @property
    def options(self) -> dict[str, Any]:
        """What stands in braces in a read-back: the target's options and what the values name."""
        return {**self.target.options, **self.named}

    @property
    def expected(self) -> dict[str, Any]:
        """What the switch should show: where it takes whole per cents, the nearest of them."""
        return {name: self._nearest(name, value) for name, value in self.requested.items()}

    def _nearest(self, name: str, value: Any) -> Any:  # noqa: ANN401 - a value of any kind
        limits = self.facts.ranges.get(name)
        if limits is None or not limits.percent_of or not isinstance(value, int):
            return value
        told = limits.told(value, self.target.options)
        return value if told is None else round(told * limits.quantum(self.target.options))

    def understood(self, name: str, shown: Any) -> Any:  # noqa: ANN401 - a value of any kind
        """Return a value in our words and units; None if the switch shows none, or one that we have no word for.

        Args:
            name: The value's name.
            shown: What the switch shows for it; None if nothing.
        """
        words = self.facts.read_back.words.get(name)
        if words is not None:
            return words.get("absent" if shown is None else str(shown).lower())
        if shown is None:
            return self.facts.read_back.absent.get(name)
        scale = self.facts.read_back.scale.get(name)
        if scale is not None:
            return round(Decimal(str(shown)) * scale)
        limits = self.facts.ranges.get(name)
        return round(int(shown) * limits.quantum(self.target.options)) if limits and isinstance(shown, int) else shown

    def rendered(self, values: Mapping[str, Any]) -> str:
        """Return the template filled with ``values`` and the target's options.

        Raises:
            SpecError: The template names a variable that there is not, or is not valid.
        """
        if self.facts.template is None:
            return ""
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES / self.platform.name),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,
        )
        try:
            told = {name: self._told(name, value) for name, value in values.items()}
            return environment.get_template(self.facts.template).render({**self.options, **told})
        except jinja2.TemplateError as error:
            raise SpecError(f"templates/{self.platform.name}/{self.facts.template}: {error}") from error

    def _told(self, name: str, value: Any) -> Any:  # noqa: ANN401 - a value of any kind
        limits = self.facts.ranges.get(name)
        return value if limits is None or value is None else limits.told(value, self.target.options)


def parse_setting(target: Target, feature: str, values: Mapping[str, Any]) -> Setting:
    """Return the setting after checking everything that can be checked without the switch.

    Raises:
        NotAttainable: A value that the platform cannot take.
        SpecError: An unknown or missing value, or an option of the host that is missing.
    """
    platform = load_platform(target.platform)
    facts = _facts_of(platform, feature, target)
    for option in facts.options:
        if option not in target.options:
            raise SpecError(f"{target.host}: switch.{option}: missing; {feature} needs {platform.options[option]}")
    asked = {name: value for name, value in asked_values(feature, values).items() if name not in facts.implied}
    _check_names(feature, asked, platform)
    for name, value in asked.items():
        _check_kind(f"{feature}.{name}", value, facts, name)
    _check_attainable(asked, facts, target, f"{platform.name} ({target.host}")
    named = {name: asked.pop(name) for name in facts.names}
    always = _always(facts, target, asked, named)
    return Setting(target=target, platform=platform, feature=feature, requested={**asked, **always}, named=named)


def _facts_of(platform: Platform, feature: str, target: Target) -> Feature:
    """Return a platform's facts of a feature.

    Raises:
        NotAttainable: Other platforms have it, and this one does not.
        SpecError: None has it: it is misspelt.
    """
    if feature not in platform.features and any(feature in load_platform(name).features for name in platform_names()):
        raise NotAttainable(f"not attainable: {platform.title} ({target.host}) has no {feature}")
    return platform.feature(feature)


def _check_names(feature: str, asked: Mapping[str, Any], platform: Platform) -> None:
    facts = platform.feature(feature)
    known = [*facts.names, *facts.choices, *facts.ranges, *facts.each]
    for name in asked:
        if name not in (*known, *facts.lacking):
            raise SpecError(f"{feature}.{name}: unknown value; {platform.name} takes {', '.join(known)}")
    for name in facts.names if asked else known[:1]:
        if name not in asked:
            raise SpecError(f"{feature}.{name}: missing; give {', '.join(known)}")


def _check_kind(where: str, value: object, facts: Feature, name: str) -> None:
    if name in facts.names and not re.fullmatch(facts.names[name], str(value)):
        raise SpecError(f"{where}: {value!r} does not match {facts.names[name]}")
    if name in facts.ranges:
        check_whole(where, value)
    if name in facts.choices:
        choice = facts.choices[name]
        if value not in (*choice.values, *choice.lacking):
            raise SpecError(f"{where}: {value!r} is not one of {', '.join((*choice.values, *choice.lacking))}")
    if name in facts.each and isinstance(value, Mapping):
        for key, text in value.items():
            if not re.fullmatch(facts.each[name], text):
                raise SpecError(f"{where}: {text!r} of {key} does not match {facts.each[name]}")


def _check_attainable(asked: Mapping[str, Any], facts: Feature, target: Target, where: str) -> None:
    missing = facts.needs.refusal(target.options) if facts.needs else None
    if missing:
        raise NotAttainable(f"not attainable: {missing} (on {where}))")
    refused: dict[str, list[str]] = {}
    for name, value in asked.items():
        if name in facts.lacking:
            refused.setdefault(f"on {where}; {facts.lacking[name]})", []).append(name)
            continue
        limits = facts.ranges.get(name) or facts.choices.get(name)
        refusal = limits.refusal(value, target.options) if limits else None
        if limits and refusal:
            refused.setdefault(f"{refusal} on {where}; {limits.reason})", []).append(name)
    together = [name for name in facts.exclusive if name in asked]
    if len(together) > 1:
        refused[f"at once on {where}; the switch has one of them at a time)"] = together
    if refused:
        reasons = "; ".join(f"{' and '.join(names)} {reason}" for reason, names in refused.items())
        raise NotAttainable(f"not attainable: {reasons}")


def _always(facts: Feature, target: Target, asked: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template sets beside the requested values, with these and the target's options filled in."""
    places = {name: path for path, leaves in facts.read_back.paths.items() for name in leaves}
    places |= dict.fromkeys(facts.read_back.keyed, PREFIX if facts.each else INTERFACE)
    prefixes = [prefix for name in facts.each for prefix in asked[name]]
    always: dict[str, Any] = {}
    beside = {name: value for one in asked for name, value in facts.beside.get(one, {}).items() if name not in asked}
    known = {**target.options, **asked, **named}
    for name, value in {**facts.always, **beside}.items():
        place = places.get(name, "")
        if INTERFACE in place and "interface" not in named:
            always[name] = {interface: _filled(value, known) for interface in target.options["interfaces"]}
        elif PREFIX in place:
            always[name] = {prefix: _filled(value, {**known, "prefix": prefix}) for prefix in prefixes}
        else:
            always[name] = _filled(value, known)
    return always


def _filled(value: Any, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a value of any kind
    """Return a value of the platform's file with the placeholders filled; digits alone are a number, as in JSON."""
    if isinstance(value, list):
        return [_filled(member, options) for member in value]
    if not isinstance(value, str):
        return value
    text = value.format(**options)
    return int(text) if text.isdecimal() else text
