"""What the user reads when a switch cannot be reached or trusted."""

import dataclasses
import datetime
import ipaddress
import socket
from concurrent import futures

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aibench_lib.errors import LabError, SpecError
from aibench_lib.switch.gnmi import _leaf
from aibench_lib.switch.session import connect
from aibench_lib.switch.target import Target

ADDRESS = "127.0.0.1"


@pytest.fixture
def closed_port():
    """A port on which nobody listens."""
    with socket.socket() as holder:
        holder.bind((ADDRESS, 0))
        yield holder.getsockname()[1]


@pytest.fixture
def certificate(tmp_path):
    """Make an authority and a certificate for an address; return the file of the one, key and chain of the other."""

    def make(address=ADDRESS):
        day = datetime.timedelta(days=1)
        now = datetime.datetime.now(datetime.UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        path = tmp_path / f"{certificate.serial_number}.pem"
        path.write_bytes(pem)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return str(path), private, pem

    return make


@pytest.fixture
def serve():
    """Serve gRPC over TLS, with no service behind it; return the port."""
    servers = []

    def serve(key, chain):
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
        port = server.add_secure_port(f"{ADDRESS}:0", grpc.ssl_server_credentials([(key, chain)]))
        server.start()
        servers.append(server)
        return port

    yield serve
    for server in servers:
        server.stop(grace=None).wait()


def target(platform, **changes):
    plain = Target(host="leaf1", address=ADDRESS, platform=platform, username="admin", password="secret")
    return dataclasses.replace(plain, **changes)


def complaint_of(switch):
    with pytest.raises((LabError, SpecError)) as caught, connect(switch):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_ssh_port_where_nobody_listens_is_unreachable(closed_port):
    said = complaint_of(target("arista_eos", port=closed_port))
    assert said.startswith(f"leaf1: unreachable at {ADDRESS}:{closed_port} over SSH: Unable to connect")
    assert "check ansible_host, ansible_port" in said


def test_a_gnmi_port_where_nobody_listens_is_unreachable(closed_port, certificate):
    said = complaint_of(target("nokia_srlinux", gnmi_port=closed_port, ca=certificate()[0]))
    assert said.startswith(f"leaf1: unreachable at {ADDRESS}:{closed_port} over gNMI with TLS: Connection refused")
    assert "check ansible_host, switch.gnmi_port" in said


def test_gnmi_without_an_authority_is_refused_before_anything_is_sent():
    assert complaint_of(target("nokia_srlinux")).startswith("leaf1: switch.ca: missing")


def test_an_authority_that_is_no_certificate_is_named(tmp_path):
    junk = tmp_path / "ca.pem"
    junk.write_text("junk")
    assert complaint_of(target("nokia_srlinux", ca=str(junk))) == f"leaf1: switch.ca: {junk} holds no certificate"


def test_a_certificate_of_another_authority_is_not_trusted(certificate, serve):
    _, key, chain = certificate()
    other, _, _ = certificate()
    said = complaint_of(target("nokia_srlinux", gnmi_port=serve(key, chain), ca=other))
    assert said.startswith("leaf1: the certificate at 127.0.0.1:")
    assert f"check that {other} signed it" in said


def test_a_certificate_for_another_address_is_not_trusted(certificate, serve):
    ca, key, chain = certificate("192.0.2.1")
    said = complaint_of(target("nokia_srlinux", gnmi_port=serve(key, chain), ca=ca))
    assert "IP address mismatch" in said


def test_a_server_that_does_not_speak_gnmi_refuses_the_first_call(certificate, serve):
    ca, key, chain = certificate()
    assert "leaf1: refused Capabilities: Method not found" in complaint_of(
        target("nokia_srlinux", gnmi_port=serve(key, chain), ca=ca)
    )


def test_a_leaf_is_found_below_names_with_a_yang_module_in_front():
    tree = {"srl_nokia-qos:pfc": {"pfc-enable": True, "srl_nokia-qos:index": "3"}}
    assert _leaf(tree, "pfc/pfc-enable") is True
    assert _leaf(tree, "pfc/index") == 3
    assert _leaf(tree, "input/pfc-buffer-allocation-profile") is None
    assert _leaf(None, "pfc") is None
