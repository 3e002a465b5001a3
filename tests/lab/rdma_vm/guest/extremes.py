"""Job: the largest message and the most queue pairs that tests ask for, with their payload compared."""

import time

from rdma_vm.guest.cases import EXTREMES
from rdma_vm.guest.operations import listed
from rdma_vm.guest.pair import trial
from rdma_vm.guest.results import Results

_DEADLINE_SECONDS = 400


def main() -> None:
    results = Results()
    for name, (qps, sizes) in EXTREMES.items():
        began = time.monotonic()
        outcome = trial(listed("write_with_imm", qps, sizes), verify=True, seconds=_DEADLINE_SECONDS)
        results.add(
            name,
            {
                "statuses": [row[8] for row in outcome.samples],
                "bytes": [row[2] for row in outcome.samples],
                "receipts": sorted(place for place, *_ in outcome.receipts),
                "states": sorted(outcome.states.values()),
                "errors": outcome.errors,
                "seconds": time.monotonic() - began,
            },
        )


if __name__ == "__main__":
    main()
