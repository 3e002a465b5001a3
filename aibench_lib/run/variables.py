"""What Ansible knows of a host, in Python's own types: the library knows no others."""

from collections.abc import Callable, Mapping
from typing import Any

from aibench_lib.switch.target import Target, parse_target

TARGET_VARIABLES = (
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_password",
    "ansible_ssh_private_key_file",
    "switch",
)


def target_of(variables: Mapping[str, Any], template: Callable[[Any], Any] = lambda value: value) -> Target:
    """Return the switch that a task is about.

    Args:
        variables: The task's.
        template: Ansible's own, which fills variables into variables.

    Raises:
        SpecError: A variable of the switch is missing or wrong.
    """
    return parse_target(
        str(variables["inventory_hostname"]),
        {name: plain(template(variables[name])) for name in TARGET_VARIABLES if name in variables},
    )


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever Ansible holds
    """Return a value without the tags that Ansible attaches."""
    if isinstance(value, Mapping):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
