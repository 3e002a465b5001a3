"""The process that is the virtual lab; started by :mod:`aibench_lib.virtual_lab.daemon`."""

from aibench_lib.lab_process.serving import Order, Served, main
from aibench_lib.model import LabKind


def _make(order: Order) -> Served:
    from aibench_lib.simulator import warm_up  # what takes long to import is told of as a failed start if it fails
    from aibench_lib.virtual_lab.inventory import load_lab
    from aibench_lib.virtual_lab.lab import Lab

    spec = load_lab(order.inventory)
    warm_up(order.say)
    return Lab(spec, order.network, order.directory, start_ns=order.started_ns)


if __name__ == "__main__":
    raise SystemExit(main("aibench_lib.virtual_lab", LabKind.SIMULATED, _make))
