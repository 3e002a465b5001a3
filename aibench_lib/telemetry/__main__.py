"""``python -m aibench_lib.telemetry --control SOCKET``: the collector process; its orders come on standard input."""

import argparse
import sys
from pathlib import Path

from aibench_lib.telemetry.collector import run


class _NoPandas:
    """Keeps pandas out: pyarrow would load it with its first array, for half a second that a setting would wait."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Answer the import of a module."""
        if name == "pandas":
            raise ModuleNotFoundError("the collector does without pandas", name=name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m aibench_lib.telemetry", description=__doc__)
    parser.add_argument("--control", type=Path, required=True, metavar="SOCKET", help="where requests are answered")
    arguments = parser.parse_args()
    sys.meta_path.insert(0, _NoPandas())
    sys.exit(run(arguments.control))
