"""The lines that make one configuration text another: what is missing is written, what is too much is negated."""

import re
from collections.abc import Sequence

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
    return _between_indented(found, wanted, how.shorter)


def _between_flat(found: Sequence[str], wanted: Sequence[str], word: str, remove: str) -> list[str]:
    there, shall = set(found), set(wanted)
    surplus = [f"{remove}{line.removeprefix(word)}" for line in reversed(found) if line not in shall]
    return surplus + [line for line in wanted if line not in there]


def _between_indented(found: Sequence[str], wanted: Sequence[str], shorter: Sequence[str]) -> list[str]:
    """Return them for a text in which a line that stands below another is typed after it, and ``no`` removes one."""
    before = get_hconfig(Platform.GENERIC, "\n".join(found))
    after = get_hconfig(Platform.GENERIC, "\n".join(wanted))
    remedy = WorkflowRemediation(before, after).remediation_config
    typed = [_typed(line, shorter) for line in remedy.all_children_sorted()]
    return [line for line in typed if line is not None]


def _typed(line: HConfigChild, shorter: Sequence[str]) -> str | None:
    """Return a line as the switch takes it; None if it removes what another one replaces."""
    text = line.text.removeprefix(_NO)
    kept = next((match["kept"] for pattern in shorter if (match := re.fullmatch(pattern, text))), None)
    if text == line.text or kept is None:
        return line.cisco_style_text()
    if any(other.text.startswith(f"{kept} ") for other in line.parent.children):
        return None
    return line.cisco_style_text().replace(line.text, f"{_NO}{kept}")
