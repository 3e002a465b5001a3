"""Speed of the verbs transport beside ``ib_write_bw`` and a bare loop of pyverbs calls, in one emulated guest.

Run it as a program: ``python tests/bench/bench_verbs.py [BYTES,QPS,MESSAGES ...]``.  The guest's clock counts
instructions, so the numbers do not depend on how busy this machine is; absolute ones say nothing of any NIC.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab"))
from rdma_vm import machine, packages

CASES = (
    *("65536,1,1000", "65536,4,250", "65536,16,64"),
    *("1048576,1,64", "1048576,4,16", "1048576,16,5"),
    *("16777216,1,6", "16777216,4,5", "16777216,16,5"),
)
"""Size of a message [bytes], queue pairs, messages of each; ``ib_write_bw`` takes no fewer than 5."""
MEMORY_MIB = 3072
"""``ib_write_bw`` wants two messages a queue pair at each end."""


def main():
    cases = sys.argv[1:] or CASES
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = machine.run(
                f"python3 -m rdma_vm.guest.speed {' '.join(cases)}",
                folder=Path(folder),
                memory_mib=MEMORY_MIB,
                timeout_s=1800,
                steady=True,
            )
        except packages.CannotBuildError as error:
            print(f"no guest with soft-RoCE, nothing measured: {error}")  # noqa: T201 - a bench prints
            return
    if done.status:
        raise SystemExit(done.log)
    for line in done.log.splitlines():
        found = json.loads(line)
        if found["what"] == "latency":
            what = "P50 of an 8-byte WRITE"
            text = f"{found['verbs_us']:8.1f} us   bare pyverbs {found['bare_us']:8.1f} us"
        else:
            what = f"{found['qps']:2} queue pairs, {found['bytes'] >> 10:5} KiB"
            text = f"{found['verbs']:8.1f} MB/s ib_write_bw  {found['perftest']:8.1f} MB/s"
        print(f"{what:<26}{text}   ratio {found['ratio']:.2f}")  # noqa: T201 - a bench prints


if __name__ == "__main__":
    main()
