"""Keys, certificates and the password of one virtual lab; made anew at every start, never reused."""

import datetime
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USERNAME = "admin"
"""The one user of every simulated switch."""

_LIFETIME = datetime.timedelta(days=30)
_CLOCK_SKEW = datetime.timedelta(minutes=5)


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
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = (
        _builder("aibench virtual lab CA", "aibench virtual lab CA", ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    server_key = ec.generate_private_key(ec.SECP256R1())
    alternatives = [*map(x509.DNSName, names), *(x509.IPAddress(ipaddress.ip_address(text)) for text in addresses)]
    server = (
        _builder(names[0], "aibench virtual lab CA", server_key)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    client_key = ec.generate_private_key(ec.SECP256R1())
    client = (
        _builder("aibench coordinator", "aibench virtual lab CA", client_key)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return Credentials(
        ca=ca.public_bytes(pem),
        server_certificate=server.public_bytes(pem),
        server_key=_private_pem(server_key),
        client_certificate=client.public_bytes(pem),
        client_key=_private_pem(client_key),
        password=secrets.token_urlsafe(18),
    )


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
