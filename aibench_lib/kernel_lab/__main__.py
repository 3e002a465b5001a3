"""The process that is the kernel lab; started by :mod:`aibench_lib.kernel_lab.daemon`."""

from aibench_lib.kernel_lab.inventory import load_lab
from aibench_lib.kernel_lab.lab import Lab
from aibench_lib.lab_process.serving import Order, Served, main
from aibench_lib.model import LabKind


def _make(order: Order) -> Served:
    return Lab(load_lab(order.inventory), order.network, order.directory, order.say)


if __name__ == "__main__":
    raise SystemExit(main("aibench_lib.kernel_lab", LabKind.KERNEL, _make))
