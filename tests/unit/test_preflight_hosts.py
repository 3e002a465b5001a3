"""Hosts without an agent yet, in a preflight: the look at a host is run here, or what its shell answers is made up."""

import ast
import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aibench_lib.errors import LabError
from aibench_lib.run import host_logins
from aibench_lib.run.inspection import Agents
from aibench_lib.worker import sent
from aibench_lib.worker.agent import host, nic
from aibench_lib.worker.deployment import Deployment
from aibench_lib.worker.shell import Done, Login

ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"
NOW_NS = 1_795_533_261_000_000_000
OF_A_PROCESS = {"memlock.bytes", "python", "pyverbs", "transport", "transports", "clock.sync", "clock.offset_bound_ns"}
"""Facts that differ between two Pythons, or from one second to the next."""


class MadeUpShell:
    """A login whose one command ends as it is told."""

    def __init__(self, host, done):
        self.login = Login(host=host, address="198.18.255.1")
        self._done = done

    async def run(self, command, given=(), *, seconds=60.0):
        assert command.startswith(f"{PYTHON} -IB -c ")
        assert b"".join(given).endswith(b"\n")
        if isinstance(self._done, Exception):
            raise self._done
        return self._done


def said(facts, now_ns=NOW_NS):
    """Return what a shell prints of a host that answers, below the greeting of its login."""
    return Done(0, f"welcome\n\naibench:{json.dumps({'ok': {'facts': facts, 'now_ns': now_ns}})}\n", "")


@pytest.fixture
def hosts(monkeypatch):
    """Let hosts answer; returns what a preflight makes of them."""

    def answer(**answers):
        def on_hosts(logins, act):
            results, failures = {}, {}
            for login in logins:
                try:
                    results[login.host] = asyncio.run(act(MadeUpShell(login.host, answers[login.host])))
                except LabError as error:
                    failures[login.host] = error
            return results, failures

        monkeypatch.setattr(host_logins, "on_hosts", on_hosts)
        deployments = {
            name: Deployment(login=Login(host=name, address=""), folder="/var/tmp/x", port=50051, lab="kernel")
            for name in answers
        }
        return host_logins.log_in(deployments, Agents(asked_at=time.time() - 10))

    return answer


def test_hosts_say_what_they_are_and_what_time_it_was_when_they_were_asked(hosts):
    found = hosts(a=said({"mtu": "9000"}), b=said({"mtu": "1500"}, NOW_NS + 5))
    assert (found.let_in, found.silent) == (2, {})
    assert found.facts == {"a": {"mtu": "9000"}, "b": {"mtu": "1500"}}
    assert 10 <= (NOW_NS - found.clock_ns) / 1e9 < 12  # they answered 10 s after the first question


@pytest.mark.parametrize(
    ("done", "complaint"),
    [
        (
            Done(3, '\naibench:{"python": [3, 8]}\n', ""),
            "its /usr/bin/python3 is Python 3.8, and the agent needs 3.11 or newer; set worker.python",
        ),
        (
            Done(127, "", "sh: not found"),
            "there is no /usr/bin/python3; install Python 3.11, or set worker.python to its path",
        ),
        (
            Done(0, "welcome to this host\ntoday is Tuesday", ""),
            "/usr/bin/python3 failed with status 0: today is Tuesday; see that it is Python 3.11 or newer, or set",
        ),
        (Done(-1, '\naibench:{"ok": {"fac', ""), "/usr/bin/python3 failed with status -1: aibench:"),
        (Done(0, '\naibench:{"ok": [1]}\n', ""), "/usr/bin/python3 answers what was not asked; set worker.python"),
        (Done(1, '\naibench:{"error": "ValueError: no address"}\n', ""), "ValueError: no address"),
        (LabError("a", "SSH at 198.18.255.1 does not answer"), "SSH at 198.18.255.1 does not answer"),
    ],
)
def test_a_host_that_cannot_have_an_agent_is_told_with_what_to_do(hosts, done, complaint):
    found = hosts(a=done, b=said({}))
    assert found.silent["a"].startswith(complaint)
    assert found.let_in == 1


def look(python=PYTHON, environment=None, **changed):
    """Run the look at a host as its login shell would, and return the process that has ended."""
    arguments = {"address": "127.0.0.1", "device": "", "transport": "", "seconds": 20, **changed}
    return subprocess.run(
        ["/bin/sh", "-c", sent.command(python)],
        input=sent.order(host_logins.MODULES, "facts", arguments),
        capture_output=True,
        timeout=30,
        check=False,
        env={"PATH": "/usr/bin:/bin", **(environment or {})},
        cwd="/",
    )


def answered(done):
    """Return the one answer of a look."""
    (line,) = [line for line in done.stdout.decode().splitlines() if line]
    return json.loads(line.removeprefix("aibench:"))


@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason=f"needs {PYTHON}")
@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.77"])
def test_a_host_without_our_code_says_of_itself_what_an_agent_would(address):
    done = look(address=address)
    assert (done.returncode, done.stderr) == (0, b"")
    found = answered(done)["ok"]
    here = host.inspect(nic.find(address), "tcp")
    alike = here.keys() - OF_A_PROCESS
    assert {name: found["facts"].get(name) for name in alike} == {name: here[name] for name in alike}
    assert found["facts"].keys() - OF_A_PROCESS == alike
    assert found["facts"]["transports"].endswith("tcp")
    assert abs(found["now_ns"] - time.time_ns()) < 20e9


def test_each_module_that_is_sent_imports_only_those_before_it_and_the_standard_library():
    for place, name in enumerate(host_logins.MODULES):
        before = host_logins.MODULES[:place]
        for node in ast.walk(ast.parse(Path(importlib.util.find_spec(name).origin).read_text())):
            match node:
                case ast.Import():
                    needed = [alias.name for alias in node.names]
                case ast.ImportFrom():
                    needed = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                    needed = [module for module in needed if module == node.module or is_module(module)]
                case _:
                    continue
            for module in needed:
                assert module.split(".")[0] in sys.stdlib_module_names or module in before, f"{name}: {module}"


def is_module(name):
    """Whether a name of ours is a module, and not something within one."""
    if not name.startswith("aibench_lib."):
        return False
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def test_a_look_names_the_address_that_ssh_has_reached_where_the_inventory_names_none():
    found = answered(look(address="", environment={"SSH_CONNECTION": "192.0.2.1 4000 127.0.0.1 22"}))
    assert found["ok"]["facts"]["nic.interface"] == "lo"
    done = look(address="")
    assert done.returncode == 1
    assert answered(done)["error"].startswith("the SSH server does not set SSH_CONNECTION")


def test_a_transport_that_the_inventory_names_is_the_one_that_is_judged():
    assert answered(look(transport="verbs"))["ok"]["facts"]["transport"] == "verbs"
