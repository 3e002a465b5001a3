"""What a login on this host is: which address it has reached, and how much memory its processes may lock."""

import contextlib
import os
import resource

from aibench_lib.worker.on_host.forks import RefusedError


def own_address() -> str:
    """Return the host's address that the controller has reached; the agent answers there alone."""
    ends = os.environ.get("SSH_CONNECTION", "").split()
    if len(ends) != 4:
        raise RefusedError("the SSH server does not set SSH_CONNECTION, which says where the agent shall answer")
    return ends[2].partition("%")[0]


def raise_memlock() -> int:
    """Raise the limit of locked memory as far as this user may: registered memory counts [bytes, -1: no limit].

    It holds for this process and those that it starts.
    """
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    if os.geteuid() == 0:
        with contextlib.suppress(ValueError, OSError):  # a container's root may not
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
    return limit
