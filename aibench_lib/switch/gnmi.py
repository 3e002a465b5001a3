"""The one door to pygnmi: switches that are configured over gNMI.

It uses pygnmi's messages, stubs and path syntax, and not its client, which sets no deadlines, waits long for a switch
that is not there, and prints.
"""

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import yaml
from pygnmi.create_gnmi_path import gnmi_path_generator
from pygnmi.spec.v080 import gnmi_pb2, gnmi_pb2_grpc

from aibench_lib.errors import LabError, SpecError
from aibench_lib.platforms import Platform
from aibench_lib.switch.broken import SessionBrokenError
from aibench_lib.switch.setting import INTERFACE, PREFIX, Setting
from aibench_lib.switch.target import Target

CONNECT_SECONDS = 10
CALL_SECONDS = 30
BACKOFF_SECONDS = (1, 3)
"""Before what is only read is asked for again."""


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
        self._knock(target.ca, port)
        self._channel = grpc.secure_channel(
            self._place,
            grpc.ssl_channel_credentials(Path(target.ca).read_bytes()),
            options=[("grpc.enable_http_proxy", 0)],  # a proxy of the office does not lead into the lab
        )
        self._stub = gnmi_pb2_grpc.gNMIStub(self._channel)
        try:
            self._call(self._stub.Capabilities, gnmi_pb2.CapabilityRequest(), "Capabilities")
        except LabError:
            self.close()
            raise

    def read_config(self) -> str:
        """Return the subtrees that the platform's templates touch, as JSON."""
        interfaces = self._target.options.get("interfaces", ())
        places = [
            place.replace(INTERFACE, interface)
            for place in self._facts.snapshot
            for interface in (interfaces if INTERFACE in place else [""])
        ]
        return json.dumps({path: self.get(path) for path in places}, indent=2) + "\n"

    def check_restorable(self, config: str) -> None:
        """Whatever a subtree holds, it can be replaced."""

    def comparable(self, config: str) -> list[str]:
        """Return the configuration as lines, lists and keys in a fixed order."""
        return json.dumps(_ordered(json.loads(config)), indent=2, sort_keys=True).splitlines()

    def read_back(self, setting: Setting) -> Mapping[str, Any]:
        """Return the values of a feature as the configuration has them."""
        found: dict[str, Any] = dict(setting.facts.read_back.fixed)
        for place, leaves in setting.facts.read_back.paths.items():
            asked = {name: leaf for name, leaf in leaves.items() if name in setting.requested}
            if not asked:
                continue
            if INTERFACE in place and "interface" not in setting.named:
                found |= self._of_each(place, asked, "interface", self._target.options["interfaces"])
            elif PREFIX in place:
                found |= self._of_each(place, asked, "prefix", setting.prefixes)
            else:
                tree = self.get(place.format(**setting.options))
                found |= {name: setting.understood(name, _leaf(tree, leaf)) for name, leaf in asked.items()}
        return found

    def _of_each(
        self, place: str, leaves: Mapping[str, str], placeholder: str, keys: Iterable[str]
    ) -> dict[str, dict[str, Any]]:
        """Return the leaves below a place with a placeholder, each a mapping key -> value."""
        trees = {key: self.get(place.format(**self._target.options, **{placeholder: key})) for key in keys}
        return {name: {key: _leaf(tree, leaf) for key, tree in trees.items()} for name, leaf in leaves.items()}

    @property
    def has_dead_man(self) -> bool:
        """A Set takes effect or does not; no switch here takes one back by itself."""
        return False

    def apply(self, rendered: str, change: str, seconds: int | None = None, checkpoint: str | None = None) -> None:
        """Send what was rendered in one Set: updates of a path with a value, and paths to delete."""
        del change, seconds, checkpoint  # what a command line needs to take a change back
        entries = yaml.safe_load(rendered)
        self._set(
            delete=[gnmi_path_generator(entry["delete"]) for entry in entries if "delete" in entry],
            update=[self._update(entry["path"], entry["value"]) for entry in entries if "path" in entry],
        )

    def confirm(self, change: str) -> None:
        """Keep a change, which nothing would take back."""

    def cancel(self, change: str, checkpoint: str | None = None) -> None:
        """Take back what was never confirmed: there is nothing."""

    def checkpoints(self) -> list[str] | None:
        """Return None: nothing is saved over gNMI."""
        return None

    def save_checkpoint(self, name: str) -> None:
        """Save nothing: see `checkpoints`."""

    def roll_back(self, name: str) -> None:
        """Roll nothing back: see `checkpoints`."""

    def remove_checkpoint(self, name: str) -> None:
        """Remove nothing: see `checkpoints`."""

    def restore(self, config: str) -> None:
        """Replace the subtrees with what they held, in one Set."""
        subtrees = json.loads(config)
        self._set(
            delete=[gnmi_path_generator(path) for path, value in subtrees.items() if value is None],
            replace=[self._update(path, value) for path, value in subtrees.items() if value is not None],
        )

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _knock(self, ca: str, port: int) -> None:
        """Find out at once, and with a reason, what gRPC only reports as a channel that does not get ready."""
        try:
            context = ssl.create_default_context(cafile=ca)
        except ssl.SSLError as error:
            raise SpecError(f"{self._target.host}: switch.ca: {ca} holds no certificate") from error
        context.set_alpn_protocols(["h2"])
        try:
            with (
                socket.create_connection((self._target.address, port), timeout=CONNECT_SECONDS) as connection,
                context.wrap_socket(connection, server_hostname=self._target.address),
            ):
                pass
        except ssl.SSLCertVerificationError as error:
            raise LabError(
                self._target.host,
                f"the certificate at {self._place} is not trusted: {error.verify_message}; check that {ca} signed it "
                "and that it names this address",
            ) from error
        except OSError as error:
            raise LabError(
                self._target.host,
                f"unreachable at {self._place} over gNMI with TLS: {error.strerror or error}; check ansible_host, "
                "switch.gnmi_port and the management network",
            ) from error

    def get(self, path: str) -> Any:  # noqa: ANN401 - whatever JSON the path holds
        """Return the configuration at ``path``, or None if there is none."""
        updates = self._updates(path, gnmi_pb2.GetRequest.CONFIG)
        if len(updates) > 1:
            raise LabError(self._target.host, f"answered Get {path} with {len(updates)} values instead of one tree")
        return _value(updates[0].val) if updates else None

    def state(self, path: str) -> Any:  # noqa: ANN401 - whatever JSON the path holds
        """Return what the switch says of itself at ``path``, in one tree or leaf by leaf; None if it says nothing."""
        asked = [element.name for element in gnmi_path_generator(path).elem]
        tree: Any = None
        for update in self._updates(path, gnmi_pb2.GetRequest.ALL):
            below = [element.name for element in update.path.elem][len(asked) :]
            tree = _grown(tree, below, _value(update.val))
        return tree

    def _updates(self, path: str, kind: int) -> list[Any]:
        request = gnmi_pb2.GetRequest(
            path=[gnmi_path_generator(path)],
            type=kind,
            encoding=gnmi_pb2.Encoding.Value(self._facts.encoding.upper()),
        )
        answer = self._read(request, f"Get {path}")
        return [update for part in answer.notification for update in part.update] if answer else []

    def _read(self, request: object, what: str) -> Any:  # noqa: ANN401 - a message without types
        """Ask, and ask again if the session broke: reading changes nothing."""
        for seconds in BACKOFF_SECONDS:
            try:
                return self._call(self._stub.Get, request, what, absent=grpc.StatusCode.NOT_FOUND)
            except SessionBrokenError:
                time.sleep(seconds)
        return self._call(self._stub.Get, request, what, absent=grpc.StatusCode.NOT_FOUND)

    def _update(self, path: str, value: object) -> Any:  # noqa: ANN401 - a message without types
        typed = gnmi_pb2.TypedValue(**{f"{self._facts.encoding}_val": json.dumps(value).encode()})
        return gnmi_pb2.Update(path=gnmi_path_generator(path), val=typed)

    def _set(self, **operations: Iterable[Any]) -> None:
        request = gnmi_pb2.SetRequest(**operations)
        paths = [*request.delete, *(update.path for update in (*request.update, *request.replace))]
        names = ", ".join("/" + "/".join(element.name for element in path.elem) for path in paths)
        self._call(self._stub.Set, request, f"Set {names}")

    def _call(
        self, method: Callable[..., Any], request: object, what: str, absent: grpc.StatusCode | None = None
    ) -> Any:  # noqa: ANN401 - a message without types
        """Return the answer to one call, or None if the status is ``absent``.

        Raises:
            LabError: The switch refused or did not answer; the message names the host and the call.
        """
        metadata = (("username", self._target.username), ("password", self._target.password))
        try:
            return method(request, metadata=metadata, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if error.code() is absent:
                return None
            broken = error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
            kind = SessionBrokenError if broken else LabError
            raise kind(self._target.host, self._why(what, error.code(), error.details())) from error

    def _why(self, what: str, code: grpc.StatusCode, details: str) -> str:
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return (
                f"wrong user name or password for {self._target.username!r} at {self._place} over gNMI ({details}); "
                "check ansible_user and ansible_password"
            )
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"no answer to {what} within {CALL_SECONDS} s at {self._place}"
        if code is grpc.StatusCode.UNAVAILABLE:
            return f"the gNMI session at {self._place} broke at {what}: {details}"
        return f"refused {what}: {details}; compare templates/{self._target.platform} with its software"


def _value(value: Any) -> Any:  # noqa: ANN401 - a message without types
    kind = value.WhichOneof("value")
    content = getattr(value, kind)
    return json.loads(content) if kind in ("json_val", "json_ietf_val") else content


def _grown(tree: Any, below: Sequence[str], value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return a tree with a value at a path below it; what is there already stays."""
    if not below:
        return {**value, **tree} if isinstance(tree, dict) and isinstance(value, dict) else value
    name, *rest = below
    grown = dict(tree) if isinstance(tree, dict) else {}
    grown[name] = _grown(grown.get(name), rest, value)
    return grown


def _leaf(tree: Any, path: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return the value at a path below a tree, or None; the names in the tree may have their YANG module in front."""
    for name in path.split("/"):
        members = tree.items() if isinstance(tree, dict) else ()
        tree = next((member for key, member in members if key.rpartition(":")[2] == name), None)
    return int(tree) if isinstance(tree, str) and tree.isdecimal() else tree  # JSON_IETF writes 64 bits as a string


def _ordered(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return JSON with every list sorted: the entries of a YANG list come in any order."""
    if isinstance(value, dict):
        return {key: _ordered(member) for key, member in value.items()}
    if isinstance(value, list):
        return sorted((_ordered(member) for member in value), key=lambda member: json.dumps(member, sort_keys=True))
    return value
