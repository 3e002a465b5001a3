"""Read YAML into frozen dataclasses; a key that is not a field is an error that names file and key."""

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from aibench_lib.errors import SpecError

T = TypeVar("T")


def load_yaml(path: Path) -> Any:  # noqa: ANN401 - whatever YAML can hold
    """Return the content of a YAML file.

    Raises:
        SpecError: The file is missing or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SpecError(f"{path}: no such file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error


def build(kind: type[T], values: object, where: str) -> T:
    """Return ``kind(**values)`` after checking that every key is one of its fields.

    Args:
        kind: A dataclass.
        values: What was read; must be a mapping.
        where: File and key path for messages, such as ``08_congestion.yml: 8.1``.

    Raises:
        SpecError: Not a mapping, an unknown key (the nearest known one is named), or a missing key.
    """
    if not isinstance(values, Mapping):
        raise SpecError(f"{where}: expected keys and values, found {type(values).__name__}")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type] # T is a dataclass
    for key in values:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(fields)}"
            raise SpecError(f"{where}.{key}: unknown key; {hint}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise SpecError(f"{where}.{name}: missing; this key is required")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{where}: {error}") from error
