"""Is a trial whole: one successful sample for each transfer, and at least one for each stream."""

from collections import Counter
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from aibench_lib.errors import TrialError
from aibench_lib.model import TrialLoad


def check_complete(samples: pa.Table, load: TrialLoad) -> None:
    """Check that every transfer of a load has exactly one sample and every stream some, and that all are ``ok``.

    Where the load allows unfinished transfers, ``timeout`` is as good.

    Args:
        samples: One row a transfer or a batch of a stream, columns of :data:`aibench_lib.worker.samples.SCHEMA`.  It is
            read batch by batch: it may be larger than memory.
        load: What was asked for.

    Raises:
        TrialError: A transfer or a stream failed, has no sample, a transfer has more than one, or a sample belongs to
            nothing that was asked for.
    """
    fine = pa.array(["ok", "timeout"] if load.unfinished_ok else ["ok"])
    seen: Counter[tuple[str, str, int, int]] = Counter()
    streamed: set[tuple[str, str, int]] = set()
    streams = {(host, one.peer, one.qp) for host, own in load.streams.items() for one in own}
    for batch in samples.to_batches():
        _check_status(batch, fine)
        for host, peer, qp, size_bytes, count in _counts(batch):
            if (host, peer, qp) in streams:
                streamed.add((host, peer, qp))
            else:
                seen[host, peer, qp, size_bytes] += count
    _check_streams(streams - streamed)
    asked = Counter(
        (host, transfer.peer, transfer.qp, transfer.size_bytes)
        for host, transfers in load.transfers.items()
        for transfer in transfers
    )
    for problem, difference in (("no sample", asked - seen), ("a sample too many", seen - asked)):
        if difference:
            host, peer, qp, size_bytes = min(difference)
            raise TrialError(
                f"{host}: {problem} of the transfer of {size_bytes} bytes to {peer} on queue pair {qp} "
                f"({difference.total()} such in the trial)"
            )


def _check_status(batch: pa.RecordBatch, fine: pa.Array) -> None:
    failures = batch.filter(pc.invert(pc.is_in(batch.column("status"), fine)))
    if failures.num_rows:
        failed = failures.slice(0, 1).to_pylist()[0]
        raise TrialError(
            f"{failed['host']}: the transfer of {failed['size_bytes']} bytes to {failed['peer']} on queue pair "
            f"{failed['qp']} ended with status {failed['status']!r}"
        )


def _check_streams(silent: Iterable[tuple[str, str, int]]) -> None:
    missing = sorted(silent)
    if missing:
        host, peer, qp = missing[0]
        raise TrialError(
            f"{host}: no sample of the stream to {peer} on queue pair {qp} ({len(missing)} such in the trial)"
        )


def _counts(batch: pa.RecordBatch) -> Iterator[tuple[str, str, int, int, int]]:
    """Yield host, peer, queue pair and size, and how many rows of a batch have them."""
    keys = ["host", "peer", "qp", "size_bytes"]
    counted = pa.Table.from_batches([batch]).group_by(keys, use_threads=False).aggregate([([], "count_all")])
    yield from zip(*(counted[name].to_pylist() for name in (*keys, "count_all")), strict=True)
