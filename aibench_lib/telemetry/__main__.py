"""``python -m aibench_lib.telemetry --control SOCKET``: the collector process; its orders come on standard input."""

import argparse
import sys
from pathlib import Path

from aibench_lib.telemetry.collector import run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m aibench_lib.telemetry", description=__doc__)
    parser.add_argument("--control", type=Path, required=True, metavar="SOCKET", help="where requests are answered")
    sys.exit(run(parser.parse_args().control))
