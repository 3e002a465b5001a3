"""How fast sample statistics are, beside a full sort of the same samples in the same process.

Run it as a program: ``python tests/bench/bench_stats.py``.
"""

import time

import numpy as np

from aibench_lib import stats

SAMPLES = 5_000_000


def seconds(work):
    """Return the least time of three."""
    times = []
    for _ in range(3):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def main():
    """Print million samples/s of each statistic and its ratio to the sort."""
    samples = np.random.default_rng(1).exponential(size=SAMPLES)
    reference = seconds(lambda: np.sort(samples))
    print(f"{'sort of the same samples (reference)':<44}{SAMPLES / reference / 1e6:>8.1f} M samples/s")  # noqa: T201 - a bench prints
    for name, work in (
        ("P99.9", lambda: stats.percentile(samples, 0.999)),
        ("P99 with its confidence interval", lambda: stats.percentile_confidence_interval(samples, 0.99)),
        ("mean with its confidence interval", lambda: stats.mean_confidence_interval(samples)),
    ):
        took = seconds(work)
        print(f"{name:<44}{SAMPLES / took / 1e6:>8.1f} M samples/s {reference / took:>7.1f} x the sort")  # noqa: T201 - a bench prints


if __name__ == "__main__":
    main()
