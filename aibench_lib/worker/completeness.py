"""Is a trial whole: exactly one successful sample for each transfer that was asked for."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from aibench_lib.errors import TrialError
from aibench_lib.model import TrialLoad


def check_complete(samples: pa.Table, load: TrialLoad) -> None:
    """Check that every transfer of a load has exactly one sample, and that its status is ``ok``.

    Where the load allows unfinished transfers, ``timeout`` is as good.

    Args:
        samples: One row a transfer, columns of :data:`aibench_lib.worker.samples.SCHEMA`.
        load: What was asked for.

    Raises:
        TrialError: A transfer failed, has no sample or more than one, or a sample belongs to no transfer.
    """
    fine = pa.array(["ok", "timeout"] if load.unfinished_ok else ["ok"])
    failures = samples.filter(pc.invert(pc.is_in(samples["status"], fine)))
    if failures.num_rows:
        failed = failures.slice(0, 1).to_pylist()[0]
        raise TrialError(
            f"{failed['host']}: the transfer of {failed['size_bytes']} bytes to {failed['peer']} on queue pair "
            f"{failed['qp']} ended with status {failed['status']!r}"
        )
    asked = Counter(
        (host, transfer.peer, transfer.qp, transfer.size_bytes)
        for host, transfers in load.transfers.items()
        for transfer in transfers
    )
    columns = (samples[name].to_pylist() for name in ("host", "peer", "qp", "size_bytes"))
    seen = Counter(zip(*columns, strict=True))
    for problem, difference in (("no sample", asked - seen), ("a sample too many", seen - asked)):
        if difference:
            host, peer, qp, size_bytes = min(difference)
            raise TrialError(
                f"{host}: {problem} of the transfer of {size_bytes} bytes to {peer} on queue pair {qp} "
                f"({difference.total()} such in the trial)"
            )
