"""Which switch, where it answers, and with which keys: the inventory's view of one device."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aibench_lib.errors import SpecError
from aibench_lib.platforms import load_platform
from aibench_lib.spec import build


@dataclass(frozen=True, kw_only=True)
class Target:
    """One switch of the lab."""

    host: str
    """The inventory's name, for messages and file names."""
    address: str
    platform: str
    username: str
    password: str = field(repr=False)
    key_file: str | None = None
    """Private key for SSH; None means the password."""
    port: int | None = None
    """SSH port; None means the platform's own."""
    known_hosts: str | None = None
    """File with the switch's SSH host key; None means the user's own ``known_hosts``."""
    gnmi_port: int | None = None
    """None means the platform's own."""
    ca: str | None = None
    """File with the authority that signed the switch's gNMI certificate."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the platform's templates and paths need to know of this switch."""


def parse_target(host: str, variables: Mapping[str, Any]) -> Target:
    """Return the switch that the inventory's variables describe.

    Args:
        host: The inventory's name.
        variables: Holds ``ansible_host``, ``ansible_user``, ``ansible_password`` or, for SSH,
            ``ansible_ssh_private_key_file``, optionally ``ansible_port``, and the mapping ``switch`` with ``platform``,
            ``known_hosts``, ``gnmi_port``, ``ca`` and the platform's options.

    Raises:
        SpecError: A variable is missing, a key of ``switch`` is unknown, or there is no such platform.
    """
    key_file = _file(variables.get("ansible_ssh_private_key_file"), f"{host}: ansible_ssh_private_key_file")
    for name in ("ansible_user", "ansible_password", "switch"):
        if variables.get(name) is None and not (name == "ansible_password" and key_file):
            raise SpecError(f"{host}: {name}: missing; a switch needs this variable")
    switch = variables["switch"]
    if not isinstance(switch, Mapping) or "platform" not in switch:
        raise SpecError(f"{host}: switch.platform: missing; this key is required")
    try:
        platform = load_platform(str(switch["platform"]))
    except SpecError as error:
        raise SpecError(f"{host}: switch.{error}") from error
    connection = ("platform", "known_hosts", "gnmi_port", "ca")
    known = dataclasses.make_dataclass(
        "Switch", [(name, object, field(default=None)) for name in (*connection, *platform.options)]
    )
    values = vars(build(known, switch, f"{host}: switch"))
    return Target(
        host=host,
        address=str(variables.get("ansible_host") or host),
        port=_port(variables.get("ansible_port"), f"{host}: ansible_port"),
        platform=platform.name,
        username=str(variables["ansible_user"]),
        password=str(variables.get("ansible_password") or ""),
        key_file=key_file,
        known_hosts=_file(values["known_hosts"], f"{host}: switch.known_hosts"),
        gnmi_port=_port(values["gnmi_port"], f"{host}: switch.gnmi_port"),
        ca=_file(values["ca"], f"{host}: switch.ca"),
        options={name: values[name] for name in platform.options if values[name] is not None},
    )


def _port(value: object, where: str) -> int | None:
    if value is None:
        return None
    try:
        port = int(str(value))
    except ValueError as error:
        raise SpecError(f"{where}: {value!r} is not a port") from error
    if not 0 < port < 65536:
        raise SpecError(f"{where}: {port} is not a port")
    return port


def _file(value: object, where: str) -> str | None:
    if value is None:
        return None
    path = Path(str(value)).expanduser()
    if not path.is_file():
        raise SpecError(f"{where}: {path}: no such file")
    return str(path)
