"""Values as the three encodings of gNMI that a simulated switch speaks carry them."""

import json

from pygnmi.spec.v080 import gnmi_pb2

ENCODINGS = (gnmi_pb2.JSON, gnmi_pb2.PROTO, gnmi_pb2.JSON_IETF)


def write(target: gnmi_pb2.TypedValue, value: object, encoding: int, *, wide: bool = False) -> None:
    """Put a value into a ``TypedValue``.

    Args:
        target: The message.
        value: A leaf's value.
        encoding: One of :data:`ENCODINGS`.
        wide: Whether the leaf is 64 bits wide: JSON_IETF writes such a number as a string.
    """
    if encoding == gnmi_pb2.PROTO:
        if isinstance(value, bool):
            target.bool_val = value
        elif isinstance(value, int):
            target.uint_val = value
        else:
            target.string_val = str(value)
        return
    if wide and encoding == gnmi_pb2.JSON_IETF:
        if type(value) is int:  # almost always, and not worth a JSON encoder
            target.json_ietf_val = b'"%d"' % value
            return
        value = str(value)
    write_json(target, value, encoding)


def write_json(target: gnmi_pb2.TypedValue, value: object, encoding: int) -> None:
    """Put a value or a whole subtree into a ``TypedValue`` as JSON."""
    data = json.dumps(value).encode()
    if encoding == gnmi_pb2.JSON_IETF:
        target.json_ietf_val = data
    else:
        target.json_val = data


def read(value: gnmi_pb2.TypedValue) -> object:
    """Return what a ``TypedValue`` holds, JSON decoded.

    Raises:
        ValueError: It holds nothing that a simulated switch understands.
    """
    kind = value.WhichOneof("value")
    if kind in ("json_val", "json_ietf_val"):
        return json.loads(getattr(value, kind))
    if kind in ("string_val", "uint_val", "int_val", "bool_val", "ascii_val"):
        return getattr(value, kind)
    raise ValueError(f"a value of type {kind} is not understood")
