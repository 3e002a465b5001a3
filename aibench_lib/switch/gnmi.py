"""The one door to pygnmi's client: switches that are configured over gNMI."""

import json
import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
import yaml
from pygnmi.client import gNMIclient, gNMIException

from aibench_lib.errors import LabError, SpecError
from aibench_lib.platforms import Platform
from aibench_lib.switch.setting import Setting
from aibench_lib.switch.target import Target

CONNECT_SECONDS = 5
"""pygnmi waits twice: a second time after it changed the cipher."""
CALL_SECONDS = 30

_OPTIONS = [
    # pygnmi sets no deadline; a hung switch must not hang the run.
    (
        "grpc.service_config",
        json.dumps({"methodConfig": [{"name": [{"service": "gnmi.gNMI"}], "timeout": f"{CALL_SECONDS}s"}]}),
    ),
    ("grpc.enable_http_proxy", 0),
]

# What a library has to say reaches the user as one translated line, not as its log on the terminal.
logging.getLogger("pygnmi").addHandler(logging.NullHandler())


class GnmiSwitch:
    """A gNMI session."""

    def __init__(self, target: Target, platform: Platform) -> None:
        """Connect and ask for the capabilities, which proves address, certificate and password.

        Raises:
            SpecError: The host has no ``switch.ca``: without it anybody could answer for the switch.
            LabError: Unreachable, a certificate that the authority did not sign, or a wrong user name or password.
        """
        if target.ca is None:
            raise SpecError(f"{target.host}: switch.ca: missing; gNMI needs the authority that signed the certificate")
        self._target = target
        self._facts = platform.gnmi
        port = target.gnmi_port or platform.gnmi.port
        self._place = f"{target.address}:{port}"
        self._knock(target.address, port)
        self._client = gNMIclient(
            target=(target.address, port),
            username=target.username,
            password=target.password,
            path_cert=target.ca,  # without a key, pygnmi takes this as the root certificate
            gnmi_timeout=CONNECT_SECONDS,
            grpc_options=list(_OPTIONS),
        )
        with self._translated("Capabilities"):
            self._client.connect()

    def read_config(self) -> str:
        """Return the subtrees that the platform's templates touch, as JSON."""
        return json.dumps({path: self._get(path) for path in self._facts.snapshot}, indent=2) + "\n"

    def comparable(self, config: str) -> list[str]:
        """Return the configuration as lines, lists and keys in a fixed order."""
        return json.dumps(_ordered(json.loads(config)), indent=2, sort_keys=True).splitlines()

    def read_back(self, setting: Setting) -> Mapping[str, Any]:
        """Return the values of a feature as the configuration has them."""
        found: dict[str, Any] = {}
        for place, leaves in setting.facts.read_back.paths.items():
            path = place.format(**self._target.options)
            found.update({name: _number(self._get(f"{path}/{leaf}")) for name, leaf in leaves.items()})
        return found

    def apply(self, rendered: str) -> None:
        """Send the rendered updates in one Set."""
        changes = yaml.safe_load(rendered)
        self._set(update=[(change["path"], json.dumps(change["value"])) for change in changes])

    def restore(self, config: str) -> None:
        """Replace the subtrees with what they held, in one Set."""
        subtrees = json.loads(config)
        self._set(
            delete=[path for path, value in subtrees.items() if value is None],
            replace=[(path, json.dumps(value)) for path, value in subtrees.items() if value is not None],
        )

    def close(self) -> None:
        """Close the channel."""
        self._client.close()

    def _knock(self, address: str, port: int) -> None:
        """Find out in seconds, and with a reason, that nobody listens; gRPC only says that it did not get ready."""
        try:
            socket.create_connection((address, port), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            raise LabError(
                self._target.host,
                f"unreachable at {self._place} over gNMI: {error}; check ansible_host, switch.gnmi_port "
                "and the management network",
            ) from error

    def _get(self, path: str) -> Any:  # noqa: ANN401 - whatever JSON the path holds
        """Return the configuration at ``path``, or None if there is none."""
        with self._translated(f"Get {path}"):
            try:
                answer = self._client.get(path=[path], datatype="config", encoding=self._facts.encoding)
            except gNMIException as error:
                if _code(error) is grpc.StatusCode.NOT_FOUND:
                    return None
                raise
        updates = [update for part in answer.get("notification", ()) for update in part.get("update", ())]
        if len(updates) > 1:
            raise LabError(self._target.host, f"answered Get {path} with {len(updates)} values instead of one tree")
        return updates[0].get("val") if updates else None

    def _set(self, **operations: list[Any]) -> None:
        paths = [item if isinstance(item, str) else item[0] for items in operations.values() for item in items]
        with self._translated(f"Set {', '.join(paths)}"):
            self._client.set(**operations, encoding=self._facts.encoding)

    @contextmanager
    def _translated(self, call: str) -> Iterator[None]:
        """Turn what pygnmi and gRPC raise into one line that names the host and the call."""
        host = self._target.host
        try:
            yield
        except grpc.FutureTimeoutError as error:
            raise LabError(
                host,
                f"no TLS session with {self._place} within {2 * CONNECT_SECONDS} s; check that {self._target.ca} "
                "signed the switch's certificate and that the certificate names this address",
            ) from error
        except gNMIException as error:
            raise LabError(host, self._refusal(call, error)) from error

    def _refusal(self, call: str, error: gNMIException) -> str:
        code = _code(error)
        cause = error.orig_exc
        details = cause.details() if isinstance(cause, grpc.Call) else str(error)
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return (
                f"wrong user name or password for {self._target.username!r} at {self._place} over gNMI ({details}); "
                "check ansible_user and ansible_password"
            )
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"no answer to {call} within {CALL_SECONDS} s at {self._place}"
        if code is grpc.StatusCode.UNAVAILABLE:
            return f"the gNMI session at {self._place} broke at {call}: {details}"
        return f"refused {call}: {details}; nothing was changed"


def _code(error: gNMIException) -> grpc.StatusCode | None:
    return error.orig_exc.code() if isinstance(error.orig_exc, grpc.Call) else None


def _number(value: Any) -> Any:  # noqa: ANN401 - a leaf's value
    """Return a leaf's value; JSON_IETF writes 64-bit numbers as strings."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _ordered(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return JSON with every list sorted: the entries of a YANG list come in any order."""
    if isinstance(value, dict):
        return {key: _ordered(member) for key, member in value.items()}
    if isinstance(value, list):
        return sorted((_ordered(member) for member in value), key=lambda member: json.dumps(member, sort_keys=True))
    return value
