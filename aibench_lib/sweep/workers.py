"""Run points on the cores of this machine, or on a Dask cluster."""

import contextlib
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed

from aibench_lib.errors import AibenchError, LabError, SpecError
from aibench_lib.sweep.point import Row, run_point
from aibench_lib.sweep.spec import Point

EMBEDDED = "local"
"""The scheduler's address that stands for a cluster started for this sweep, on this machine."""


def on_this_machine(points: Sequence[Point], workers: int) -> Generator[tuple[int, Row]]:
    """Yield (number of the point, row) as points finish.

    The workers are threads: a simulation spends its time in the kernel, which needs no interpreter lock and is
    compiled once for all.

    Args:
        points: What to run.
        workers: Simulations at a time.

    Raises:
        SpecError: A point was refused; the others are abandoned.
    """
    stop = threading.Event()
    pool = ThreadPoolExecutor(workers)
    try:
        numbers = {pool.submit(run_point, point, stop): number for number, point in enumerate(points)}
        for future in as_completed(numbers):
            yield numbers[future], _row(future, points[numbers[future]])
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def on_cluster(points: Sequence[Point], workers: int, scheduler: str) -> Generator[tuple[int, Row]]:
    """Yield (number of the point, row) as points finish on a Dask cluster.

    Args:
        points: What to run.
        workers: Processes of the embedded cluster; a cluster that is named has its own.
        scheduler: Address of the cluster's scheduler, such as ``tcp://10.0.0.1:8786``; or :data:`EMBEDDED`.

    Raises:
        LabError: The scheduler cannot be reached, or the cluster lost a point.
        SpecError: Dask is not installed, or a point was refused.
    """
    try:
        import distributed
    except ImportError as error:
        raise SpecError("--scheduler: Dask is not installed; pip install 'aibench[cluster]'") from error
    with contextlib.ExitStack() as ends:
        try:
            if scheduler == EMBEDDED:
                address = ends.enter_context(
                    distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
                )
            else:
                address = scheduler
            client = ends.enter_context(distributed.Client(address, timeout="10s"))
        except (OSError, ValueError) as error:
            raise LabError(scheduler, f"no Dask scheduler answers: {_line(error)}; start one there") from error
        try:
            futures = client.map(run_point, points, pure=False)
            numbers = {future.key: number for number, future in enumerate(futures)}
            for future in distributed.as_completed(futures):
                yield numbers[future.key], _row(future, points[numbers[future.key]])
        except ImportError as error:
            raise LabError(
                scheduler, f"a worker has another aibench: {_line(error)}; install this one there"
            ) from error
        except (OSError, CancelledError, distributed.KilledWorker) as error:
            raise LabError(scheduler, f"the cluster lost a point: {_line(error)}; see its workers' logs") from error


def _row(future: Future[Row], point: Point) -> Row:
    try:
        return future.result()
    except AibenchError as error:
        raise SpecError(f"{point.where}: the point with {point.name}: {error}") from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
