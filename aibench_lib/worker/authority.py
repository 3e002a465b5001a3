"""Certificates of one run: an authority whose key never leaves memory, and what it has signed.

Both sides of a connection to an agent prove themselves with them (mutual TLS).  Files are of mode 0600 in folders of
mode 0700, and are deleted with the agents.

Draft: Section 15.
"""

import datetime
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aibench_lib.errors import LabError, SpecError
from aibench_lib.files import make_private_directory, write_whole

RUN_LIFETIME = datetime.timedelta(days=7)
"""Longer than the longest soak, shorter than anybody needs to find a use for a forgotten key."""

_CLOCK_SKEW = datetime.timedelta(hours=24)
"""By how much a host's clock may be behind.  The keys are new, so an earlier beginning admits nobody."""
_CA, _CLIENT_CERTIFICATE, _CLIENT_KEY, _HOSTS = "ca.pem", "client.pem", "client.key", "hosts"
_LONGEST_NAME = 64
"""Of a certificate's common name, by X.520; who is meant stands in the alternative names, which may be longer."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key (PEM)."""

    certificate: bytes
    key: bytes = field(repr=False)


class Authority:
    """Signs certificates for as long as the object lives.

    Args:
        name: What the certificates give as their issuer.
        lifetime: Of everything it signs.
    """

    def __init__(self, name: str, lifetime: datetime.timedelta = RUN_LIFETIME) -> None:
        self._name, self._lifetime = name, lifetime
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)
        """Of the authority itself (PEM)."""

    def server(self, names: Iterable[str]) -> Pair:
        """Return a server's certificate, valid for each of the names and addresses; the first is its subject."""
        names = list(names)
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in dict.fromkeys(names)])
        return self._signed(names[0], ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def client(self, name: str) -> Pair:
        """Return a client's certificate; no server can use it, and no client a server's."""
        return self._signed(name, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _signed(
        self, subject: str, usage: x509.ObjectIdentifier, alternatives: x509.SubjectAlternativeName | None = None
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(subject, key).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )

    def _builder(self, subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + self._lifetime)
        )


def make_authority(folder: Path, hosts: Mapping[str, str]) -> None:
    """Make a run's authority, and write what it signs: the coordinator's pair and one for each host.

    Args:
        folder: Gets ``ca.pem``, ``client.pem``, ``client.key``, and ``hosts/<host>.pem`` and ``.key``.  What an earlier
            authority has left there is replaced.
        hosts: Inventory name -> the address its agent is reached at.

    Raises:
        SpecError: A host's name cannot be in a certificate or be a file's.
        LabError: A file cannot be written.
    """
    authority = Authority("aibench run CA")
    coordinator = authority.client("aibench coordinator")
    files = {_CA: authority.certificate, _CLIENT_CERTIFICATE: coordinator.certificate, _CLIENT_KEY: coordinator.key}
    for host, address in hosts.items():
        if "/" in host or "\0" in host:
            raise SpecError(f"inventory: {host}: a host's name must do as the name of a file; rename it")
        pair = authority.server([host, address])
        files[f"{_HOSTS}/{host}.pem"], files[f"{_HOSTS}/{host}.key"] = pair.certificate, pair.key
    remove_authority(folder)
    make_private_directory(folder)
    make_private_directory(folder / _HOSTS)
    for name, content in files.items():
        write_whole(folder / name, partial(_write, content), durable=False)


def remove_authority(folder: Path) -> None:
    """Delete what :func:`make_authority` has written, and the folder unless something else is in it.

    Raises:
        LabError: A file cannot be deleted.
    """
    try:
        for pattern in ("*.pem", "*.key", ".*.part"):
            for path in folder.glob(f"{_HOSTS}/{pattern}"):
                path.unlink()
        for name in (_CA, _CLIENT_CERTIFICATE, _CLIENT_KEY):
            (folder / name).unlink(missing_ok=True)
        for emptied in (folder / _HOSTS, folder):
            if emptied.is_dir() and not any(emptied.iterdir()):
                emptied.rmdir()
    except OSError as error:
        raise LabError("controller", f"cannot delete the run's keys in {folder}: {error.strerror}") from error


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise SpecError(f"inventory: {name}: cannot be in a certificate; use ASCII letters, digits and '-'") from error


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_LONGEST_NAME])])
