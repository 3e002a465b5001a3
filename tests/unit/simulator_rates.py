"""What rates should be: max-min fair shares over the paths a simulation takes, and classes to serve them by."""

import numpy as np
import numpy.typing as npt

from aibench_lib.simulator import Simulation, kernel

DATA_PRIORITIES = (0, 1, 2, 3, 4, 5, 7)

Path = tuple[int, ...]


def hashed_path(simulation: Simulation, qp: int) -> Path:
    """Return the ports a queue pair's data takes under ECMP."""
    sender, sets, next_hops = simulation._senders[qp], simulation._routes.sets, simulation._routes.next_hops
    first_host = len(simulation._switches)
    node, destination = first_host + int(sender[kernel.SOURCE]), int(sender[kernel.PEER])
    choose = getattr(kernel._hash, "py_func", kernel._hash)
    ports: list[int] = []
    while node != first_host + destination:
        row = sets[node, destination]
        count = int(next_hops[row, 0])
        choice = choose(simulation._node_rows, node, int(sender[kernel.ENTROPY]), count) if count > 1 else 0
        ports.append(int(next_hops[row, 1 + choice]))
        node = int(simulation._port_rows[ports[-1] ^ 1, kernel.NODE])
    return tuple(ports)


def max_min(paths: list[Path]) -> npt.NDArray[np.float64]:
    """Return the max-min fair share of each path, of links of capacity 1, by filling the tightest link first."""
    shares = np.zeros(len(paths))
    left = {port: 1.0 for path in paths for port in path}
    users = {port: {flow for flow, path in enumerate(paths) if port in path} for port in left}
    while any(users.values()):
        tightest = min((port for port in users if users[port]), key=lambda port: left[port] / len(users[port]))
        share = left[tightest] / len(users[tightest])
        for flow in sorted(users[tightest]):
            shares[flow] = share
            for port in paths[flow]:
                left[port] -= share
                users[port].discard(flow)
    return shares


def classes(paths: list[Path]) -> list[int]:
    """Return a data priority for each path such that no two of a link have the same."""
    taken: dict[int, set[int]] = {}
    chosen = [-1] * len(paths)
    crowd = [sum(len(set(path) & set(other)) for other in paths) for path in paths]
    for flow in sorted(range(len(paths)), key=lambda flow: -crowd[flow]):
        around = set().union(*(taken.get(port, set()) for port in paths[flow]))
        chosen[flow] = next(priority for priority in DATA_PRIORITIES if priority not in around)
        for port in paths[flow]:
            taken.setdefault(port, set()).add(chosen[flow])
    return chosen


def fairness(loads: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return Jain's index over the last axis."""
    index: npt.NDArray[np.float64] = loads.sum(-1) ** 2 / loads.shape[-1] / (loads**2).sum(-1)
    return index
