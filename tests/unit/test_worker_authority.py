"""The certificates of a run: who can prove what to whom, and what is left on disk."""

import datetime
import ssl
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from aibench_lib.errors import LabError, SpecError
from aibench_lib.worker import authority
from aibench_lib.worker.authority import Authority, make_authority, remove_authority

HOSTS = {"gpu1": "127.0.0.1", "gpu2": "fe80::1", "gpu3": "gpu3.example", "long" * 20: "10.0.0.4"}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "workers"
    make_authority(path, HOSTS)
    return path


def handshake(folder, server="hosts/gpu1", client="client", ask="127.0.0.1", ca=None):
    """Let a client and a server prove themselves to each other; return the error of whoever refuses first."""
    accepts = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    accepts.verify_mode = ssl.CERT_REQUIRED
    accepts.load_cert_chain(folder / f"{server}.pem", folder / f"{server}.key")
    calls = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca or folder / "ca.pem")
    calls.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        calls.wrap_bio(back, there, server_hostname=ask),
        accepts.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return str(error)
    return ""


@pytest.mark.parametrize(
    ("server", "asked"),
    [("gpu1", "127.0.0.1"), ("gpu1", "gpu1"), ("gpu2", "fe80::1"), ("gpu3", "gpu3.example"), ("long" * 20, "10.0.0.4")],
)
def test_an_agent_is_believed_by_its_name_and_by_its_address(folder, server, asked):
    assert handshake(folder, server=f"hosts/{server}", ask=asked) == ""


def test_an_agent_is_not_believed_to_be_another(folder):
    assert "IP address mismatch" in handshake(folder, server="hosts/gpu3")


def test_an_agent_cannot_pass_for_the_coordinator(folder):
    assert "unsuitable certificate purpose" in handshake(folder, client="hosts/gpu2")


def test_the_authority_of_another_run_is_not_believed(folder, tmp_path):
    make_authority(tmp_path / "other", HOSTS)
    assert "CERTIFICATE_VERIFY_FAILED" in handshake(folder, ca=tmp_path / "other" / "ca.pem")


def test_what_is_written_is_its_owners_alone_and_the_authoritys_key_is_not_there(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "hosts")} == {0o700}
    certificates = [x509.load_pem_x509_certificate(path.read_bytes()) for path in files if path.suffix == ".pem"]
    (own,) = [one.public_key() for one in certificates if one.subject == one.issuer]
    keys = [load_pem_private_key(path.read_bytes(), None) for path in files if path.suffix == ".key"]
    assert len(keys) == len(HOSTS) + 1
    assert own not in [key.public_key() for key in keys]


def test_a_certificate_lasts_for_a_week(folder):
    certificate = x509.load_pem_x509_certificate((folder / "hosts" / "gpu1.pem").read_bytes())
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(days=6, hours=23) < left <= authority.RUN_LIFETIME


def test_another_authority_in_the_same_folder_replaces_the_first(folder):
    before = (folder / "ca.pem").read_bytes()
    make_authority(folder, {"gpu1": "127.0.0.1"})
    assert (folder / "ca.pem").read_bytes() != before
    assert sorted(path.name for path in (folder / "hosts").iterdir()) == ["gpu1.key", "gpu1.pem"]
    assert handshake(folder) == ""


def test_removing_leaves_nothing_and_can_be_done_twice(folder, tmp_path):
    remove_authority(folder)
    remove_authority(folder)
    assert list(tmp_path.iterdir()) == []


def test_removing_leaves_what_is_somebody_elses(folder):
    (folder / "notes.txt").write_text("mine")
    remove_authority(folder)
    assert [path.name for path in folder.rglob("*")] == ["notes.txt"]


def test_a_key_that_cannot_be_deleted_is_said(folder):
    (folder / "client.key").unlink()
    (folder / "client.key").mkdir()
    with pytest.raises(LabError, match="controller: cannot delete the run's keys in "):
        remove_authority(folder)


@pytest.mark.parametrize("name", ["a/../../b", "gpü"])
def test_a_name_that_is_none_for_a_file_or_a_certificate_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(SpecError, match=f"inventory: {name}: "):
        make_authority(tmp_path / "workers", {name: "127.0.0.1"})
    assert list(tmp_path.iterdir()) == []


def test_a_private_key_is_not_in_what_python_prints():
    assert "PRIVATE" not in repr(Authority("any").client("any"))
