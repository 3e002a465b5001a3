"""Paths and values of SR Linux as its command line writes them: ``interface ethernet-1/1 admin-state enable``."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from aibench_lib.virtual_lab.cli.grammar import CliError
from aibench_lib.virtual_lab.gnmi.paths import Elements, schema
from aibench_lib.virtual_lab.srlinux.schema import CONTAINERS, LEAVES, LISTS, PRESENCE, Scalar, Texts

ANY = "*"


def tokens_of(line: str) -> list[str]:
    """Return a line's tokens; quotes hold one together, and ``/qos`` is ``/ qos``.

    Raises:
        CliError: A quote is not closed.
    """
    try:
        tokens = shlex.split(line)
    except ValueError as error:
        raise CliError(f"Parsing error: {error}") from error
    if tokens[:1] and tokens[0] != "/" and tokens[0].startswith("/"):
        return ["/", tokens[0][1:], *tokens[1:]]
    return tokens


def unknown(token: str, options: Sequence[str]) -> CliError:
    """Return the answer to a token that may not stand where it does."""
    return CliError(f"Parsing error: Unknown token '{token}'. Options are {sorted(options)}")


def statements(tokens: Sequence[str]) -> list[tuple[Elements, object]]:
    """Return what ``set`` sets: paths and values, an empty mapping for a list entry or a container.

    Raises:
        CliError: A token is not one of the models', or a key or a value is missing.
    """
    here: Elements = ()
    found: list[tuple[Elements, object]] = []
    rest = list(tokens)
    is_open = True
    while rest:
        name = rest.pop(0)
        child = f"{schema(here)}/{name}"
        if child in LEAVES and not _is_key(here, name):
            found.append(((*here, (name, ())), _value(child, name, rest)))
            is_open = False
        elif child in CONTAINERS:
            here, is_open = (*here, (name, _keys(child, rest))), True
        else:
            raise unknown(name, _options(here))
    return [*found, (here, {})] if is_open else found


def path_of(tokens: Sequence[str], *, every_key: bool) -> Elements:
    """Return the path that ``delete`` or ``info`` is given; a key may be ``*``.

    Args:
        tokens: The path's.
        every_key: Whether a list needs its keys.

    Raises:
        CliError: A token is not one of the models', or a key is missing.
    """
    here: Elements = ()
    rest = list(tokens)
    while rest:
        name = rest.pop(0)
        child = f"{schema(here)}/{name}"
        if child in LEAVES and not _is_key(here, name):
            if rest:
                raise unknown(rest[0], ["|", ">"])
            return (*here, (name, ()))
        if child not in CONTAINERS:
            raise unknown(name, _options(here))
        here = (*here, (name, _keys(child, rest) if rest or every_key else ()))
    return here


def line_of(path: Elements, value: Scalar | None = None) -> str:
    """Return a path, and the value of a leaf, in words."""
    words = []
    for end, (name, keys) in enumerate(path, 1):
        words.append(name)
        values = dict(keys)
        for number, key in enumerate(LISTS.get(schema(path[:end]), ()) if keys else ()):
            words += [*([key] if number else []), quoted(values[key])]
    return " ".join([*words, *([] if value is None else [shown(value)])])


def shown(value: Scalar) -> str:
    """Return a leaf's value."""
    if isinstance(value, tuple):
        return " ".join(["[", *map(quoted, value), "]"])
    return str(value).lower() if isinstance(value, bool) else quoted(str(value))


def quoted(text: str) -> str:
    """Return a text in quotes if it needs them."""
    return text if re.fullmatch(r"[^\s\"'\[\]{}]+", text) else '"' + text.replace('"', '\\"') + '"'


def flat(leaves: Mapping[Elements, Scalar]) -> list[str]:
    """Return a configuration in lines, each of which names its whole path, in a fixed order."""
    nodes: dict[Elements, Scalar | None] = {}
    for path, value in leaves.items():
        if len(path) > 1 and _is_key(path[:-1], path[-1][0]):
            nodes.setdefault(path[:-1], None)
        else:
            nodes[path] = None if schema(path) in PRESENCE else value
    above = {path[:end] for path in nodes for end in range(1, len(path))}
    lines = (line_of(path, value) for path, value in nodes.items() if path not in above)
    return sorted(lines, key=_natural)


def nested(tree: object, above: str, depth: int = 1, lists: Mapping[str, tuple[str, ...]] = LISTS) -> Iterator[str]:
    """Yield the lines of a subtree with braces, as ``info`` shows it.

    Args:
        tree: As `Config.subtree` returns it.
        above: The path of what holds it, without keys.
        depth: How deep it is indented.
        lists: Lists and their keys.
    """
    indent = "    " * depth
    for name, value in tree.items() if isinstance(tree, Mapping) else ():
        here = f"{above}/{name}"
        if here in lists:
            for entry in value:
                keys = [f"{key} {quoted(_word(entry[key]))}" for key in lists[here]]
                head = f"{name} {keys[0].partition(' ')[2]} {' '.join(keys[1:])}".rstrip()
                inner = {key: member for key, member in entry.items() if key not in lists[here]}
                yield from _braced(f"{indent}{head}", nested(inner, here, depth + 1, lists), indent)
        elif isinstance(value, Mapping):
            yield from _braced(f"{indent}{name}", nested(value, here, depth + 1, lists), indent)
        elif isinstance(value, tuple):
            yield from (f"{indent}{name} [", *(f"{indent}    {quoted(member)}" for member in value), f"{indent}]")
        else:
            yield f"{indent}{name} {shown(value)}"


def dotted(path: Elements) -> str:
    """Return a path as error messages write it: ``.interface{.name=="ethernet-1/1"}.admin-state``."""
    parts = []
    for name, keys in path:
        tests = "&&".join(f".{key}=={_operand(value)}" for key, value in keys)
        parts.append(f".{name}" + (f"{{{tests}}}" if keys else ""))
    return "".join(parts)


def _braced(head: str, inner: Iterator[str], indent: str) -> Iterator[str]:
    yield f"{head} {{"
    yield from inner
    yield f"{indent}}}"


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _operand(value: str) -> str:
    return value if value == ANY or value.isdecimal() else f'"{value}"'


def _is_key(path: Elements, name: str) -> bool:
    return name in LISTS.get(schema(path), ())


def _keys(child: str, rest: list[str]) -> tuple[tuple[str, str], ...]:
    """Take a list's keys from the tokens that are left: the first without its name, the others with it."""
    found = []
    for number, key in enumerate(LISTS.get(child, ())):
        if number and rest[:1] != [key]:
            raise unknown(rest[0], [key]) if rest else CliError(f"Error: Missing key '{key}'")
        del rest[: 1 if number else 0]
        if not rest:
            raise CliError(f"Error: Missing value for key '{key}'")
        found.append((key, rest.pop(0)))
    return tuple(sorted(found))


def _value(child: str, name: str, rest: list[str]) -> object:
    """Take a leaf's value from the tokens that are left."""
    if not rest:
        raise CliError(f"Error: Missing value for '{name}'")
    if rest[0] != "[" or not isinstance(LEAVES[child], Texts):
        return rest.pop(0)
    if "]" not in rest:
        raise CliError(f"Error: Missing ']' of '{name}'")
    end = rest.index("]")
    members = rest[1:end]
    del rest[: end + 1]
    return members


def _options(path: Elements) -> list[str]:
    """Return the names that may follow a path."""
    here = schema(path)
    below = {child.removeprefix(f"{here}/") for child in (*LEAVES, *CONTAINERS) if child.startswith(f"{here}/")}
    return [name for name in below if "/" not in name and not _is_key(path, name)]


def _natural(line: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", line)]
