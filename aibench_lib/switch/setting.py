"""What is asked of a switch: values checked against the platform, and rendered into its words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2

from aibench_lib.errors import SpecError
from aibench_lib.platforms import TEMPLATES, Feature, Platform, load_platform
from aibench_lib.switch.target import Target

INTERFACE = "{interface}"
"""A read-back path with this placeholder is read for each of the target's ``interfaces``."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One feature of one switch with the values that are asked for."""

    target: Target
    platform: Platform
    feature: str
    requested: Mapping[str, Any]
    """The platform's values, such as ``kmin_bytes``; what the template always sets is in it too."""

    @property
    def facts(self) -> Feature:
        """The platform's facts of this feature."""
        return self.platform.feature(self.feature)

    def rendered(self, values: Mapping[str, Any]) -> str:
        """Return the template filled with ``values`` and the target's options.

        Raises:
            SpecError: The template names a variable that there is not, or is not valid.
        """
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES / self.platform.name),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,
        )
        try:
            return environment.get_template(self.facts.template).render({**self.target.options, **values})
        except jinja2.TemplateError as error:
            raise SpecError(f"templates/{self.platform.name}/{self.facts.template}: {error}") from error


def parse_setting(target: Target, feature: str, values: Mapping[str, Any]) -> Setting:
    """Return the setting after checking everything that can be checked without the switch.

    Raises:
        SpecError: An unknown value, an option of the host that is missing, or a value that the platform cannot take.
    """
    platform = load_platform(target.platform)
    facts = platform.feature(feature)
    for option in facts.options:
        if option not in target.options:
            raise SpecError(f"{target.host}: switch.{option}: missing; {feature} needs {platform.options[option]}")
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise SpecError(f"{feature}.{name}: {value!r} is not a whole number")
    asked = ecn_values(values) if feature == "ecn" else dict(values)
    _check_ranges(feature, asked, platform, target.host)
    return Setting(target=target, platform=platform, feature=feature, requested={**asked, **_always(facts, target)})


def _check_ranges(feature: str, asked: Mapping[str, int], platform: Platform, host: str) -> None:
    ranges = platform.feature(feature).ranges
    for name in asked:
        if name not in ranges:
            raise SpecError(f"{feature}.{name}: unknown value; {platform.name} takes {', '.join(ranges)}")
    refused: dict[str, list[str]] = {}
    for name, value in asked.items():
        refusal = ranges[name].refusal(value)
        if refusal:
            refused.setdefault(f"{refusal} on {platform.name} ({host}; {ranges[name].reason})", []).append(name)
    if refused:
        reasons = "; ".join(f"{' and '.join(names)} {reason}" for reason, names in refused.items())
        raise SpecError(f"not attainable: {reasons}")


def ecn_values(values: Mapping[str, int]) -> dict[str, int]:
    """Return ECN values as Kmin, Kmax and marking probability.

    ``ecn_threshold_bytes`` alone is a step: nothing is marked below it, everything above.

    Draft: Section 8.1 names one threshold and no probability.

    Raises:
        SpecError: A threshold is missing, given twice, or Kmin is above Kmax.
    """
    asked = dict(values)
    if "ecn_threshold_bytes" in asked:
        threshold = asked.pop("ecn_threshold_bytes")
        if asked:
            raise SpecError(f"ecn: give ecn_threshold_bytes, or {', '.join(asked)}, not both")
        return {"kmin_bytes": threshold, "kmax_bytes": threshold, "probability_percent": 100}
    for name in ("kmin_bytes", "kmax_bytes", "probability_percent"):
        if name not in asked:
            raise SpecError(
                f"ecn.{name}: missing; give ecn_threshold_bytes, or kmin_bytes, kmax_bytes, probability_percent"
            )
    if asked["kmin_bytes"] > asked["kmax_bytes"]:
        raise SpecError(f"ecn: kmin_bytes {asked['kmin_bytes']} > kmax_bytes {asked['kmax_bytes']}")
    return asked


def _always(facts: Feature, target: Target) -> dict[str, Any]:
    """Return what the template sets beside the requested values, with the target's options filled in."""
    each_interface = {name for path, leaves in facts.read_back.paths.items() if INTERFACE in path for name in leaves}
    always = {}
    for name, value in facts.always.items():
        filled = value.format(**target.options) if isinstance(value, str) else value
        always[name] = dict.fromkeys(target.options["interfaces"], filled) if name in each_interface else filled
    return always
