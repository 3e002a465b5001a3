"""What the platforms can take, side by side, as Markdown tables made of their ``platform.yml``."""

from collections.abc import Sequence

from aibench_lib.errors import SpecError
from aibench_lib.platforms.load import load_platform, platform_names
from aibench_lib.platforms.model import Feature, Platform, Range, Transport

_NONE = "-"


def way_back_table(platforms: Sequence[Platform]) -> str:
    """Return how each platform is changed and brought back."""
    head = (
        "platform",
        "changed over",
        "a refused change",
        "falls back unless confirmed",
        "own checkpoint",
        "from text",
    )
    return _table(head, [(f"`{platform.name}`", *_way_back(platform)) for platform in platforms])


def _way_back(platform: Platform) -> tuple[str, ...]:
    cli = platform.cli
    if cli is None or platform.transport is Transport.GNMI:
        return ("gNMI", "changes nothing", "no", "no", "replaces the subtrees")
    checkpoint = cli.checkpoint
    slots = f"yes, {checkpoint.slots} at most" if checkpoint and checkpoint.slots else "yes" if checkpoint else "no"
    return (
        f"SSH ({cli.device_type})",
        "changes nothing" if cli.edit.atomic else "may leave lines",
        "yes" if cli.dead_man else "no",
        slots,
        {"replace": "the whole", "difference": "what differs", "file": "as a file"}[cli.from_text.by],
    )


def feature_table(feature: str, platforms: Sequence[Platform]) -> str:
    """Return what each platform takes for the values of one feature.

    Raises:
        SpecError: No platform has the feature.
    """
    facts = {platform.name: platform.features[feature] for platform in platforms if feature in platform.features}
    if not facts:
        known = sorted({name for platform in platforms for name in platform.features})
        raise SpecError(f"feature {feature!r}: no platform has it; there are {', '.join(known)}")
    names = [
        name for one in facts.values() for name in (*one.names, *one.choices, *one.ranges, *one.each, *one.lacking)
    ]
    values = list(dict.fromkeys(names))
    rows = [(f"`{name}`", *(_cell(one, value) for value in values), one.source) for name, one in facts.items()]
    table = _table(("platform", *(f"`{value}`" for value in values), "source"), rows)
    without = [f"`{platform.name}`" for platform in platforms if platform.name not in facts]
    return table + (f"\n\nNot on {', '.join(without)}." if without else "")


def _cell(facts: Feature, value: str) -> str:
    if value in facts.lacking:
        return f"not attainable: {facts.lacking[value]}"
    if value in facts.ranges:
        return _range(facts.ranges[value])
    if value in facts.choices:
        return ", ".join(facts.choices[value].values)
    if value in facts.implied:
        return "follows"
    return "any name" if value in facts.names or value in facts.each else _NONE


def _range(limits: Range) -> str:
    step = f" in steps of {limits.step:,}" if limits.step > 1 else ""
    of = f" of `{limits.percent_of}`" if limits.percent_of else ""
    span = f"{limits.min:,}" if limits.min == limits.max else f"{limits.min:,} to {limits.max:,}"
    return f"{span} {limits.unit}{step}{of}"


def capabilities(feature: str | None = None) -> str:
    """Return every table, or that of one feature, each under a heading.

    Raises:
        SpecError: No platform has the feature.
    """
    platforms = [load_platform(name) for name in platform_names()]
    if feature is not None:
        return feature_table(feature, platforms)
    features = dict.fromkeys(name for platform in platforms for name in platform.features)
    parts = [f"### How a change is made and taken back\n\n{way_back_table(platforms)}"]
    parts += [f"### `{name}`\n\n{feature_table(name, platforms)}" for name in features]
    return "\n\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
