"""What the inventory may say of a host, what a journal remembers of it, and how failures are told."""

import asyncio
import copy
from pathlib import Path

import pytest
from test_run_lab import INVENTORY

from aibench_lib.errors import LabError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.run import workers
from aibench_lib.run.holding import Holding
from aibench_lib.run.lab import parse_lab, read_inventory
from aibench_lib.run.left import left_changed, standing
from aibench_lib.worker import deployment as door
from aibench_lib.worker.deployment import Outcome


def inventory(worker, **variables):
    changed = copy.deepcopy(INVENTORY)
    changed["groups"]["workers"] = ["a"]
    changed["hosts"]["a"] = {"ansible_host": "192.0.2.7", "worker": worker, **variables}
    return {**changed, "workers_state": "/tmp/keys"}


def test_a_host_whose_keys_are_not_given_is_deployed_with_keys_of_the_run():
    lab = parse_lab(inventory({"port": 50051}, ansible_port=2222, ansible_user="lab"))
    one = lab.deployments["a"]
    assert (one.folder, one.python, one.run_as) == ("/var/tmp/aibench-a", "/usr/bin/python3", "nobody")
    assert (one.login.address, one.login.port, one.login.user) == ("192.0.2.7", 2222, "lab")
    assert lab.workers["a"].ca == Path("/tmp/keys/ca.pem").resolve()


def test_a_host_whose_keys_are_given_is_left_to_whoever_runs_its_agent():
    files = {"ca": "/k/ca.pem", "cert": "/k/own.pem", "key": "/k/own.key"}
    lab = parse_lab({**inventory({"port": 50051, **files}), "workers_state": None})
    assert lab.deployments == {}
    assert lab.workers["a"].key == Path("/k/own.key")


@pytest.mark.parametrize(
    ("worker", "message"),
    [
        ({"port": 50051, "fodler": "/x/y"}, r"worker\.fodler: unknown key; did you mean 'folder'\?"),
        ({}, r"worker\.port: missing"),
        ({"port": 70000}, r"worker\.port: 70000 is not a port"),
        ({"port": 1, "ca": "/k/ca.pem"}, r"worker\.cert: missing; give ca, cert and key, or none"),
        ({"port": 1, "folder": "agent"}, r"worker\.folder: 'agent' must be an absolute path of at least two names"),
        ({"port": 1, "folder": "/home"}, r"worker\.folder: '/home' must be an absolute path of at least two names"),
        ({"port": 1, "folder": "/var/tmp/../../etc"}, r"worker\.folder: .* must be an absolute path"),
        ({"port": 1, "transport": "rdma"}, r"worker\.transport: 'rdma' is not one of .*tcp"),
        ({"port": 1, "lease_seconds": 1}, r"worker\.lease_seconds: 1 must be a number of at least 5"),
        ({"port": 1, "gid_index": "3"}, r"worker\.gid_index: '3' is no whole number"),
        ({"port": 1, "known_hosts": "/none/such"}, r"worker\.known_hosts: /none/such: no such file"),
    ],
)
def test_a_wrong_value_is_refused_with_host_and_key(worker, message):
    with pytest.raises(SpecError, match=f"inventory: a: {message}"):
        parse_lab(inventory(worker))


def test_a_lab_that_deploys_names_a_folder_for_its_keys():
    with pytest.raises(SpecError, match="inventory: workers_state: missing; it is the folder for the run's keys"):
        parse_lab({**inventory({"port": 1}), "workers_state": None})


def test_nobody_asks_for_the_login_of_a_host_that_nobody_logs_in_to():
    given = {"ca": "/k/ca.pem", "cert": "/k/own.pem", "key": "/k/own.key"}
    login = {"ansible_user": "root", "ansible_password": "secret"}
    hosts = {"a": {"worker": {"port": 1, **given}, **login}, "b": {"worker": {"port": 1}, **login}}
    variables = {
        **{name: INVENTORY[name] for name in ("lab", "topology")},
        "profiles": {},
        "groups": {"workers": ["a", "b"]},
        "hostvars": hosts,
    }
    found = read_inventory(variables, None)["hosts"]
    assert "ansible_password" not in found["a"]
    assert found["b"]["ansible_password"] == "secret"


def test_a_password_is_not_in_what_python_prints():
    lab = parse_lab(inventory({"port": 1}, ansible_password="secret"))
    assert "secret" not in repr(lab.deployments)


def test_hosts_that_failed_for_one_reason_are_one_line():
    failed = {"a": "no route", "b": "no python", "c": "no route"}
    assert Outcome(failed=failed).lines == ["a, c: no route", "b: no python"]


# The journal


@pytest.fixture
def lab():
    return parse_lab(inventory({"port": 50051}))


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "run" / "journal.jsonl")


def deployed(lab, journal, monkeypatch, outcome=None):
    """Let a run deploy to hosts that are not there, which only the door would notice."""
    journal.path.parent.mkdir(exist_ok=True)
    lab = parse_lab({**inventory({"port": 50051}), "workers_state": str(journal.path.parent.parent / "keys")})
    seen = []

    def deploy(deployments, run, _wheelhouse, _say):
        seen.append([list(standing(journal)), run])
        return outcome or Outcome(changed=[one.host for one in deployments])

    monkeypatch.setattr(door, "deploy", deploy)
    workers.deploy(lab, [], journal, Path("/none"), print)
    return lab, seen


def test_a_host_is_in_the_journal_before_it_is_touched(lab, journal, monkeypatch):
    _, seen = deployed(lab, journal, monkeypatch)
    assert seen[0][0] == ["a"]
    record = standing(journal)["a"]
    assert (record["folder"], record["address"], record["port"]) == ("/var/tmp/aibench-a", "192.0.2.7", 50051)
    assert left_changed(journal) == ["a (agent in /var/tmp/aibench-a)"]


def test_a_removal_goes_where_the_journal_says_and_not_where_the_inventory_says_now(lab, journal, monkeypatch):
    then, _ = deployed(lab, journal, monkeypatch)
    now = parse_lab(inventory({"port": 1, "folder": "/srv/other"}, ansible_user="new"))
    asked = []

    def remove(deployments, _run, _say):
        asked.extend(deployments)
        return Outcome(changed=["a"])

    monkeypatch.setattr(door, "remove", remove)
    assert workers.remove(now.deployments, journal, print).changed == ["a"]
    assert (asked[0].folder, asked[0].login.user) == ("/var/tmp/aibench-a", "new")
    assert standing(journal) == {}
    assert not then.workers_state.exists(), "the keys go with the agents"


def test_a_host_that_could_not_be_cleaned_is_not_forgotten_and_its_keys_stay(lab, journal, monkeypatch):
    then, _ = deployed(lab, journal, monkeypatch)
    monkeypatch.setattr(door, "remove", lambda *_: Outcome(failed={"a": "no route"}))
    assert workers.remove(then.deployments, journal, print).lines == ["a: no route"]
    assert list(standing(journal)) == ["a"]
    assert then.workers_state.exists()


def test_a_host_that_the_inventory_has_lost_is_waited_for_and_then_forgotten(lab, journal, monkeypatch):
    deployed(lab, journal, monkeypatch)
    assert (
        "the inventory has no login for it any more; put it back, or wait 60 s"
        in workers.remove({}, journal, print).lines[0]
    )
    text = journal.path.read_text()
    journal.path.write_text(text.replace('{"time": "20', '{"time": "19'))
    outcome = workers.remove({}, journal, print)
    assert (outcome.failed, len(outcome.said)) == ({}, 1)
    assert standing(journal) == {}


def test_the_keys_of_a_run_that_is_under_way_are_not_replaced(lab, journal, monkeypatch, tmp_path):
    deployed(lab, journal, monkeypatch)
    journal.append("run_opened", guard=1)
    monkeypatch.setattr(workers, "alive", lambda guard: guard == 1)
    other = Journal(tmp_path / "other" / "journal.jsonl")
    with pytest.raises(LabError, match=r"holds the keys of the agents of .*/run, which is under way; wait for it"):
        deployed(lab, other, monkeypatch)
    monkeypatch.setattr(workers, "alive", lambda _guard: False)
    deployed(lab, other, monkeypatch)


def test_an_agent_that_is_not_deployed_is_not_started(lab, journal):
    with pytest.raises(SpecError, match="a: the journal knows of no agent there; deploy it first"):
        workers.start(lab, [], journal, print)


def test_a_host_that_is_no_worker_is_refused_by_name(lab, journal):
    with pytest.raises(SpecError, match="hosts: 'leaf1' is no worker of the inventory; there are a"):
        workers.stop(lab, ["leaf1"], journal, print)


@pytest.mark.parametrize(
    ("transport", "answer", "is_told"),
    [
        ("", {"memlock_bytes": 8 << 20, "rdma": True}, True),
        ("verbs", {"memlock_bytes": 8 << 20, "rdma": True}, True),
        ("tcp", {"memlock_bytes": 8 << 20, "rdma": True}, False),
        ("", {"memlock_bytes": 8 << 20, "rdma": False}, False),
        ("", {"memlock_bytes": -1, "rdma": True}, False),
    ],
)
def test_a_small_limit_of_locked_memory_is_told_of_hosts_that_may_use_rdma(
    transport, answer, is_told, monkeypatch, tmp_path
):
    (one,) = parse_lab(
        inventory({"port": 1, "transport": transport} if transport else {"port": 1})
    ).deployments.values()
    (tmp_path / "hosts").mkdir()
    for name in ("ca.pem", "hosts/a.pem", "hosts/a.key"):
        (tmp_path / name).write_text("PEM")

    async def call(*_arguments, **_options):
        return {"changed": True, **answer}

    class Shell:
        login = one.login

    monkeypatch.setattr(door, "call", call)
    monkeypatch.setattr(door, "on_hosts", lambda _logins, act, _told: ({"a": asyncio.run(act(Shell()))}, {}))
    outcome = door.start([one], tmp_path, print)
    assert outcome.changed == ["a"]
    assert [line.partition(";")[0] for line in outcome.said] == (
        ["a: the agent may lock 8192 KiB of memory, and RDMA with large messages needs more"] if is_told else []
    )


def test_the_guard_reads_on_where_it_was_and_waits_for_whole_lines(lab, tmp_path):
    path = tmp_path / "journal.jsonl"
    holding = Holding(path, lab.workers)
    holding.look()
    path.write_text('{"event": "workers_started", "hosts": ["a", "elsewhere"]}\n{"event": "workers_sto')
    holding.look()
    assert holding._started == {"a"}
    with path.open("a") as file:
        file.write('pped", "hosts": ["a"]}\n')
    holding.look()
    assert holding._started == set()
    holding.let_go()
