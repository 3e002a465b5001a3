"""A configuration in JSON as lines, one a value."""

import json
from collections.abc import Iterator
from typing import Any


def flattened(text: str) -> list[str]:
    """Return ``a|b|c = value`` for every value, sorted; an empty table is a line of its own.

    Args:
        text: A JSON object; whatever stands before its first brace is left out.
    """
    return sorted(_lines(json.loads(text[text.index("{") :]), ()))


def _lines(tree: Any, path: tuple[str, ...]) -> Iterator[str]:  # noqa: ANN401 - whatever JSON holds
    if isinstance(tree, dict) and tree:
        for key, member in tree.items():
            yield from _lines(member, (*path, key))
        return
    value = ",".join(map(str, tree)) if isinstance(tree, list) else "" if tree == {} else tree
    yield f"{'|'.join(path)} = {value}"
