"""How all hosts of a trial begin at the same time, and how exactly they did.

Either each begins when its clock shows T0, or, where a test names a window too small for clocks to be trusted with, one
host sends a datagram to all others through the fabric, and they begin with it (the in-band trigger).  Either way the
achieved skew is measured by the clocks, so that it is never known better than they are.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aibench_lib.errors import StartError
from aibench_lib.model import TrialLoad
from aibench_lib.units import NS_PER_MS
from aibench_lib.worker import agent_pb2
from aibench_lib.worker.clocks import Reading, pair_uncertainty_ns, shown_ns

_TRIGGER_WINDOW_NS = NS_PER_MS
"""A window up to which the in-band trigger is used."""
_SHARE = 4
"""Skew and uncertainty together may take one part in so many of a test's window."""
_TOKEN_BYTES = 16
_MARGIN = 1.5
"""Telling all hosts may take so many times what is expected of it."""


@dataclass(frozen=True)
class Started:
    """How the senders of a trial began."""

    method: str
    """``clock``: each at T0 on its clock; ``trigger``: with a datagram that one host sent to all."""
    skew_ns: int
    """From the first sender's beginning to the last one's [ns]."""
    uncertainty_ns: int
    """By how much the true skew may differ [ns]."""


class Telling:
    """How long it takes to tell all hosts of a trial when it starts, learned from trial to trial.

    Telling is a call to all, as joining is, which comes just before it: the share that it took of that one's time last
    it takes again.
    """

    def __init__(self) -> None:
        self._share = 1.0

    def expected_ns(self, joining_ns: int) -> int:
        """Return how far ahead T0 must lie [ns], by how long joining all of the trial's hosts has taken [ns]."""
        return int(_MARGIN * self._share * joining_ns)

    def learn(self, joining_ns: int, told_ns: int) -> None:
        """Take note of how long after the call began the last host was told [ns]; without a joining [0] of nothing."""
        if joining_ns:
            share = min(1.0, max(0, told_ns) / joining_ns)
            self._share = max(share, (self._share + share) / 2)


@dataclass(frozen=True)
class Trigger:
    """Who begins the trial by a datagram, and who awaits it."""

    leader: str
    addresses: Mapping[str, str]
    """Host -> where it awaits the trigger; without the leader."""
    token: bytes


def wants_trigger(load: TrialLoad) -> bool:
    """Return whether a load's window is one for which the in-band trigger is used."""
    return load.start_window_ns is not None and load.start_window_ns <= _TRIGGER_WINDOW_NS


def choose_trigger(senders: Sequence[str], prepared: Mapping[str, agent_pb2.Prepared]) -> Trigger | None:
    """Let the first host that only receives lead; None where no host offers a trigger, or one has none.

    Args:
        senders: The hosts that have something to send.
        prepared: Host -> its answer to Prepare, all participants.
    """
    addresses = {host: reply.trigger_address for host, reply in prepared.items()}
    leaders = [host for host in addresses if host not in senders] or list(addresses)
    if not leaders or not all(addresses.values()):
        return None
    leader = leaders[0]
    others = {host: address for host, address in addresses.items() if host != leader}
    return Trigger(leader, others, secrets.token_bytes(_TOKEN_BYTES))


def run_request(common: agent_pb2.RunRequest, host: str, t0_ns: int, trigger: Trigger | None) -> agent_pb2.RunRequest:
    """Return what one host is told to start a trial.

    Args:
        common: What all are told.
        host: The host.
        t0_ns: T0 on its own clock [ns since the epoch].
        trigger: Where the trial begins with one.
    """
    request = agent_pb2.RunRequest(t0_ns=t0_ns)
    request.MergeFrom(common)
    if trigger:
        request.trigger_token = trigger.token
        if host == trigger.leader:
            request.trigger_to.extend(trigger.addresses.values())
        else:
            request.await_trigger = True
    return request


def budget_ns(window_ns: int) -> int:
    """Return how much skew and uncertainty a window allows [ns]."""
    return window_ns // _SHARE


def check_clocks(window_ns: int, clocks: Mapping[str, Reading]) -> None:
    """Check that the senders' clocks are known well enough for a window.

    Args:
        window_ns: Within which all must begin [ns].
        clocks: Sending host -> its clock.

    Raises:
        StartError: They are not; the line says by how much, and what to do.
    """
    uncertainty_ns = pair_uncertainty_ns(clocks)
    if uncertainty_ns > budget_ns(window_ns):
        worst = max(clocks, key=lambda host: clocks[host].uncertainty_ns)
        raise StartError(
            f"{worst}: its clock is known to {shown_ns(clocks[worst].uncertainty_ns)} (by {clocks[worst].method}), the "
            f"clocks of two senders to {shown_ns(uncertainty_ns)}; a start within {shown_ns(window_ns)} allows "
            f"{shown_ns(budget_ns(window_ns))}; synchronise the hosts by PTP or chrony, or bring the controller fewer "
            "hops away"
        )


def achieved(
    method: str, last: Mapping[str, agent_pb2.SampleBatch], senders: Sequence[str], clocks: Mapping[str, Reading]
) -> Started | None:
    """Return how the senders of a trial began; None where one of them cannot know it, as in a simulated lab.

    Args:
        method: ``clock`` or ``trigger``.
        last: Host -> its last batch.
        senders: The hosts that had something to send.
        clocks: Host -> its clock.
    """
    if not senders or not all(last[host].started_ns for host in senders):
        return None
    first_ns = min(last[host].started_ns - clocks[host].offset_ns for host in senders)
    last_ns = max(max(last[host].started_ns, last[host].started_last_ns) - clocks[host].offset_ns for host in senders)
    uncertainty_ns = pair_uncertainty_ns({host: clocks[host] for host in senders})
    return Started(method, last_ns - first_ns, uncertainty_ns)


def check_start(window_ns: int, started: Started | None) -> None:
    """Check that the senders of a trial began within a test's window.

    Raises:
        StartError: They did not, or it cannot be known.
    """
    if started is None:
        raise StartError(
            f"a start within {shown_ns(window_ns)} is asked for, and an agent does not say when it began; "
            "use a transport that does (tcp, verbs)"
        )
    if started.skew_ns + started.uncertainty_ns > budget_ns(window_ns):
        raise StartError(
            f"the senders began {shown_ns(started.skew_ns)} apart (known to {shown_ns(started.uncertainty_ns)}, by "
            f"{started.method}); a start within {shown_ns(window_ns)} allows {shown_ns(budget_ns(window_ns))}; see "
            "that the hosts' cores are idle and set for performance"
        )
