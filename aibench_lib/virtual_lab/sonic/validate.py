"""Check a CONFIG_DB against the models, and a change of it against what SONiC's updater allows."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from aibench_lib.virtual_lab.sonic.database import KEY, Row, Tables
from aibench_lib.virtual_lab.sonic.schema import TABLES, Kind, Number, Reference, Rows, Text, Word

_MAY_BE_REPLACED = ("dynamic_th", "xoff")
"""Of a BUFFER_PROFILE that is there."""
_MAY_NOT_GO = ("/PFC_WD/GLOBAL", "/PFC_WD/GLOBAL/POLL_INTERVAL")
"""Unless their table goes."""


class ModelError(Exception):
    """What is wrong, in the words of the tool's YANG library."""


class UnknownTableError(ModelError):
    """A table without a model; the text is its name."""


class ForbiddenError(Exception):
    """A change that the updater refuses although the models would allow it."""


def check_models(tables: Tables) -> None:
    """Raise `ModelError` unless every table, row and field is as the models have it."""
    for table, rows in tables.items():
        if table not in TABLES:
            raise UnknownTableError(table)
        for key, row in rows.items():
            _check_row(tables, table, key, row)
    if len(tables.get("ARS_PROFILE", {})) > 1:
        raise ModelError('Too many "ARS_PROFILE_LIST" elements.')


def check_change(before: Tables, after: Tables) -> None:
    """Raise `ForbiddenError` for what the updater does not change while traffic flows.

    It looks at the smallest difference: of a row that is there before and after, at its fields.
    """
    for table, key, field, operation in _differences(before, after):
        path = "/" + "/".join(filter(None, (table, key, field)))
        if operation == "remove" and table in after and path in _MAY_NOT_GO:
            raise ForbiddenError(f"Given patch operation is invalid. Operation: remove is illegal on field: {path}")
        if table == "BUFFER_POOL":
            raise _illegal(table, "rdma_config_update_validator")
        if table == "BUFFER_PROFILE" and field and not (operation == "replace" and field in _MAY_BE_REPLACED):
            raise _illegal(table, "buffer_profile_config_update_validator")


def _illegal(table: str, validator: str) -> ForbiddenError:
    function = f"generic_config_updater.field_operation_validators.{validator}"
    return ForbiddenError(f"Modification of {table} table is illegal- validating function {function} returned False")


def _differences(before: Tables, after: Tables) -> Iterator[tuple[str, str, str, str]]:
    """Yield table, key, field and operation of every difference; the field is empty where it is a whole row."""
    for table in {**before, **after}:
        old_rows, new_rows = before.get(table, {}), after.get(table, {})
        for key in {**old_rows, **new_rows}:
            old, new = old_rows.get(key), new_rows.get(key)
            if old is None or new is None:
                yield table, key, "", "add" if old is None else "remove"
                continue
            for field in {**old, **new}:
                if old.get(field) != new.get(field):
                    operation = "add" if field not in old else "replace" if field in new else "remove"
                    yield table, key, field, operation


def _check_row(tables: Tables, table: str, key: str, row: Row) -> None:
    parts = key.split(KEY)
    kinds = [rows for rows in TABLES[table] if len(rows.key) == len(parts)]
    if not kinds:
        raise ModelError(f"All Keys are not parsed in {table}\ndict_keys(['{key}'])")
    rows = next((rows for rows in kinds if not _misfit(tables, rows.key, parts, rows.name)), kinds[0])
    if reason := _misfit(tables, rows.key, parts, rows.name):
        raise ModelError(reason)
    _check_fields(tables, rows, row)
    for must in _MUSTS.get(table, ()):
        must(tables, key, row)


def _misfit(tables: Tables, key: Sequence[Kind], parts: Sequence[str], name: str) -> str:
    reasons = (_refusal(tables, kind, part, name) for kind, part in zip(key, parts, strict=True))
    return next((reason for reason in reasons if reason), "")


def _check_fields(tables: Tables, rows: Rows, row: Row) -> None:
    for field, value in row.items():
        kind = rows.fields.get(field)
        if kind is None and rows.others and not _refusal(tables, rows.others[0], field, field):
            kind = rows.others[1]
        if kind is None:
            raise ModelError(f'Unknown element "{field}" in "{rows.name}".')
        many = isinstance(kind, Word) and kind.many
        for one in value if isinstance(value, list) and many else [value]:
            if reason := _refusal(tables, kind, one, field):
                raise ModelError(reason)
    for field in rows.mandatory:
        if field not in row:
            raise ModelError(f'Missing required element "{field}" in "{rows.name}".')


def _refusal(tables: Tables, kind: Kind, value: object, name: str) -> str:
    """Return why a value is not of its kind; empty if it is."""
    invalid = f'Invalid value "{value}" in "{name}" element.'
    if not isinstance(value, str):
        return invalid
    match kind:
        case Number(low, high):
            if not re.fullmatch(r"-?\d+", value, re.ASCII):
                return invalid
            inside = low <= int(value) <= high
            limits = f'Value "{value}" does not satisfy the constraint "{low}..{high}" (range, length, or pattern).'
            return "" if inside else limits
        case Word(words):
            return "" if value in words else invalid
        case Text(pattern):
            fits = re.fullmatch(pattern, value)
            unfit = f'Value "{value}" does not satisfy the constraint "{pattern}" (range, length, or pattern).'
            return "" if fits else unfit
        case Reference(table, path, instead):
            there = value in tables.get(table, {}) or (instead and re.fullmatch(instead, value))
            return "" if there else f'Leafref "{path}" of value "{value}" points to a non-existing leaf.'


def _max_is_not_below_min(_: Tables, __: str, row: Row) -> None:
    for prefix, called in (("", ""), ("ecn_", "ECN ")):
        for colour in ("green", "yellow", "red"):
            low, high = row.get(f"{prefix}{colour}_min_threshold"), row.get(f"{prefix}{colour}_max_threshold")
            if high is not None and (low is None or int(str(high)) < int(str(low))):
                name = f"{called}{colour}" if called else colour.capitalize()
                least = f"{name} min threshold" if called else "min threshold"
                raise ModelError(f"{name} max threshold must be greater than or equal to {least}")
            ecn = str(row.get("ecn", "ecn_none"))
            if prefix and (low or high) and not (ecn == "ecn_all" or colour in ecn):
                raise ModelError(f"ecn_{colour}_min_threshold requires {colour} ECN marking enabled in 'ecn'")


def _not_faster_than_polled(tables: Tables, key: str, row: Row) -> None:
    polled = tables["PFC_WD"].get("GLOBAL", {}).get("POLL_INTERVAL")
    for field in row:
        if (field == "POLL_INTERVAL") != (key == "GLOBAL"):
            raise ModelError(f"Must condition \"../ifname {'=' if key != 'GLOBAL' else '!='} 'GLOBAL'\" not satisfied.")
    for field in ("detection_time", "restoration_time"):
        if polled and field in row and int(str(row[field])) < int(str(polled)):
            raise ModelError(f"{field} must be greater than or equal to POLL_INTERVAL")


def _interface_is_there(tables: Tables, key: str, _: Row) -> None:
    if key.split(KEY)[0] not in tables["INTERFACE"]:
        raise ModelError("Must condition not satisfied, Try adding PORT: {}, Example: 'Ethernet0': {}")


_MUSTS: Mapping[str, tuple[Callable[[Tables, str, Row], None], ...]] = {
    "WRED_PROFILE": (_max_is_not_below_min,),
    "PFC_WD": (_not_faster_than_polled,),
    "INTERFACE": (_interface_is_there,),
}
