"""Keys, certificates and the password of one virtual lab; made anew at every start, never reused."""

import datetime
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from aibench_lib.worker.authority import Authority

USERNAME = "admin"
"""The one user of every simulated switch."""

_LIFETIME = datetime.timedelta(days=30)


@dataclass(frozen=True)
class Credentials:
    """PEM texts and the password; the private keys leave memory only as files of mode 0600."""

    ca: bytes
    server_certificate: bytes
    server_key: bytes
    client_certificate: bytes
    client_key: bytes
    password: str


def make_credentials(names: Sequence[str], addresses: Sequence[str]) -> Credentials:
    """Return the credentials of a lab.

    Args:
        names: Inventory names of all nodes.
        addresses: Their addresses; the server certificate is valid for every name and address.
    """
    authority = Authority("aibench virtual lab CA", _LIFETIME)
    server, client = authority.server([*names, *addresses]), authority.client("aibench coordinator")
    return Credentials(
        ca=authority.certificate,
        server_certificate=server.certificate,
        server_key=server.key,
        client_certificate=client.certificate,
        client_key=client.key,
        password=secrets.token_urlsafe(18),
    )
