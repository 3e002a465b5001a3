"""The lines that make one configuration text another: what is missing is written, what is too much is negated."""

from collections.abc import Sequence

from hier_config import Platform, WorkflowRemediation, get_hconfig

from aibench_lib.platforms import Shape


def lines_between(found: Sequence[str], wanted: Sequence[str], shape: Shape, negate: Sequence[str]) -> list[str]:
    """Return the lines to type so that ``found`` becomes ``wanted``.

    Args:
        found: The configuration there is.
        wanted: The configuration there shall be.
        shape: Of both.
        negate: As `FromText` has it.
    """
    if shape is Shape.FLAT:
        return _between_flat(found, wanted, *negate)
    return _between_indented(found, wanted)


def _between_flat(found: Sequence[str], wanted: Sequence[str], word: str, remove: str) -> list[str]:
    there, shall = set(found), set(wanted)
    surplus = [f"{remove}{line.removeprefix(word)}" for line in reversed(found) if line not in shall]
    return surplus + [line for line in wanted if line not in there]


def _between_indented(found: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return them for a text in which a line that stands below another is typed after it, and ``no`` removes one."""
    before = get_hconfig(Platform.GENERIC, "\n".join(found))
    after = get_hconfig(Platform.GENERIC, "\n".join(wanted))
    remedy = WorkflowRemediation(before, after).remediation_config
    return [line.cisco_style_text() for line in remedy.all_children_sorted()]
