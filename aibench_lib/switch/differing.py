"""The lines that make one configuration text another: what is missing is written, what is too much is negated."""

import re
from collections.abc import Mapping, Sequence

from hier_config import HConfigChild, Platform, WorkflowRemediation, get_hconfig

from aibench_lib.platforms import FromText, Shape

_NO = "no "


def lines_between(found: Sequence[str], wanted: Sequence[str], shape: Shape, how: FromText) -> list[str]:
    """Return the lines to type so that ``found`` becomes ``wanted``.

    Args:
        found: The configuration there is.
        wanted: The configuration there shall be.
        shape: Of both.
        how: How the platform removes a line.
    """
    if shape is Shape.FLAT:
        return _between_flat(found, wanted, *how.negate)
    return _between_indented(found, wanted, how.removed_by)


def _between_flat(found: Sequence[str], wanted: Sequence[str], word: str, remove: str) -> list[str]:
    there, shall = set(found), set(wanted)
    surplus = [f"{remove}{line.removeprefix(word)}" for line in reversed(found) if line not in shall]
    return surplus + [line for line in wanted if line not in there]


def _between_indented(found: Sequence[str], wanted: Sequence[str], removed_by: Mapping[str, str]) -> list[str]:
    """Return them for a text in which a line that stands below another is typed after it, and ``no`` removes one.

    What stands at the top is removed last and backwards: lines refer to what stands above them.
    """
    before = get_hconfig(Platform.GENERIC, "\n".join(found))
    after = get_hconfig(Platform.GENERIC, "\n".join(wanted))
    remedy = list(WorkflowRemediation(before, after).remediation_config.children)
    surplus = {f"{_NO}{line.text}" for line in before.children}
    ordered = [line for line in remedy if line.text not in surplus]
    ordered += [line for line in reversed(remedy) if line.text in surplus]
    lines = [line for top in ordered for line in (top, *top.all_children_sorted())]
    typed = [_typed(line, removed_by) for line in lines]
    return [line for line in typed if line is not None]


def _typed(line: HConfigChild, removed_by: Mapping[str, str]) -> str | None:
    """Return a line as the switch takes it; None if it removes what another one replaces."""
    if not line.text.startswith(_NO):
        return line.cisco_style_text()
    removed = _removed(line.text.removeprefix(_NO), removed_by)
    if removed is None:
        return line.cisco_style_text()
    if any(_removed(other.text, removed_by) == removed for other in line.parent.children):
        return None
    return line.cisco_style_text().replace(line.text, f"{_NO}{removed}")


def _removed(text: str, removed_by: Mapping[str, str]) -> str | None:
    """Return what follows ``no`` to remove a line; None: the whole of it."""
    found = ((re.fullmatch(pattern, text), short) for pattern, short in removed_by.items())
    return next((match.expand(short) for match, short in found if match), None)
