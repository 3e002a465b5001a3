"""Hosts without an agent yet, in a preflight: what their shells answer is made up here."""

import pytest

from aibench_lib.errors import LabError
from aibench_lib.run import host_logins
from aibench_lib.run.inspection import Agents
from aibench_lib.worker.deployment import Deployment
from aibench_lib.worker.shell import Done, Login

NOW_NS = 1_795_533_261_000_000_000


class MadeUpShell:
    """A login whose one command ends as it is told."""

    def __init__(self, host, done):
        self.login = Login(host=host, address="198.18.255.1")
        self._done = done

    async def run(self, command, given=(), *, seconds=60.0):
        assert command.startswith("/usr/bin/python3 -c ")
        if isinstance(self._done, Exception):
            raise self._done
        return self._done


@pytest.fixture
def hosts(monkeypatch):
    """Let hosts answer; returns what a preflight makes of them."""

    def answer(**answers):
        def on_hosts(logins, act, told=None):
            results, failures = {}, {}
            for login in logins:
                running = act(MadeUpShell(login.host, answers[login.host]))
                try:
                    running.send(None)
                except StopIteration as ended:
                    results[login.host] = ended.value
                except LabError as error:
                    failures[login.host] = error
            return results, failures

        monkeypatch.setattr(host_logins, "on_hosts", on_hosts)
        deployments = {
            host: Deployment(login=Login(host=host, address=""), folder="/var/tmp/x", port=50051, lab="kernel")
            for host in answers
        }
        return host_logins.log_in(deployments, Agents(asked_at=1.0))

    return answer


def test_a_host_with_a_python_is_let_in_and_tells_the_time(hosts):
    found = hosts(a=Done(0, f"3 11 {NOW_NS}\n", ""), b=Done(0, f"3 13 {NOW_NS + 5}\n", ""))
    assert found == Agents(let_in=2, clock_ns=NOW_NS + 5, asked_at=1.0)


@pytest.mark.parametrize(
    ("done", "complaint"),
    [
        (
            Done(0, f"3 8 {NOW_NS}", ""),
            "/usr/bin/python3 is Python 3.8, and the agent needs 3.11; install one, and set",
        ),
        (Done(127, "", "sh: not found"), "/usr/bin/python3 does not run (sh: not found); install Python 3.11 or set"),
        (Done(0, "welcome to this host, today is Tuesday", ""), "/usr/bin/python3 does not run (exit status 0)"),
        (LabError("a", "SSH at 198.18.255.1 does not answer"), "SSH at 198.18.255.1 does not answer"),
    ],
)
def test_a_host_that_cannot_have_an_agent_is_told_with_what_to_do(hosts, done, complaint):
    found = hosts(a=done)
    assert found.silent["a"].startswith(complaint)
    assert (found.let_in, found.clock_ns) == (0, None)
