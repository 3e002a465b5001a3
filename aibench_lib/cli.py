"""The ``aibench`` command: labs of this machine, switch platforms, reports of stored runs, sweeps of the simulator."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aibench_lib import __version__
from aibench_lib.errors import AibenchError

if TYPE_CHECKING:
    from aibench_lib.labs import Lab

_INVENTORY = Path("inventory/simulated")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except AibenchError as error:
        print(f"aibench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aibench", description=__doc__)
    parser.add_argument("--version", action="version", version=f"aibench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    lab = commands.add_parser("lab", help="the labs of this machine").add_subparsers(
        required=True, metavar="up|down|status"
    )
    up = lab.add_parser("up", help="start it; it stays until `aibench lab down`")
    up.add_argument("--network", help="first two octets of a /16 of addresses (default: as the inventory says)")
    up.set_defaults(run=_lab_up)
    down = lab.add_parser("down", help="end it")
    down.set_defaults(run=_lab_down)
    status = lab.add_parser("status", help="say whether it is up (exit code 1 if not)")
    status.set_defaults(run=_lab_status)
    up.add_argument("--inventory", type=Path, default=_INVENTORY, help="of which lab (default: %(default)s)")
    for command in (down, status):
        command.add_argument("--inventory", type=Path, help="of which lab (default: of any)")
    for command in (up, down, status):
        command.add_argument("--state", type=Path, help="state folder (default: one for each kind of lab, in .aibench)")
    platforms = commands.add_parser("platforms", help="say what each switch platform can be told, and in which range")
    platforms.add_argument("feature", nargs="?", help="such as ecn; default: all")
    platforms.set_defaults(run=_platforms)
    report = commands.add_parser("report", help="write the report of a stored run again")
    report.add_argument("results", type=Path, metavar="RUN_FOLDER")
    report.set_defaults(run=_report)
    sweep = commands.add_parser("sweep", help="simulate every combination of the values a file gives")
    sweep.add_argument("file", type=Path, metavar="FILE", help="see docs/sweep.md")
    sweep.add_argument("--output", type=Path, help="the table, .csv or .parquet (default: FILE's name with .csv, here)")
    sweep.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="default: one a core")
    sweep.add_argument("--scheduler", metavar="ADDRESS", help="a Dask cluster: tcp://..., or local to start one here")
    sweep.set_defaults(run=_sweep)
    return parser


def _lab_up(options: argparse.Namespace) -> int:
    from aibench_lib import labs  # the other commands do without its imports

    lab = labs.of_inventory(options.inventory)
    state_dir = options.state or lab.state_dir
    state = lab.up(options.inventory.resolve(), state_dir.resolve(), options.network or lab.network, None, print)
    print(f"{lab.title}: up on {state.network}.0.0/16, process {state.pid}")
    print(lab.login.format(state=state_dir, network=state.network))
    return 0


def _lab_down(options: argparse.Namespace) -> int:
    ended = 0
    for lab, state_dir in _labs(options):
        was_up = lab.status(state_dir.resolve()) is not None
        lab.down(state_dir.resolve())
        if was_up:
            print(f"{lab.title} down")
            ended += 1
    if not ended:
        print("no lab was up")
    return 0


def _lab_status(options: argparse.Namespace) -> int:
    running = [(lab, state) for lab, state_dir in _labs(options) if (state := lab.status(state_dir.resolve()))]
    for lab, state in running:
        print(f"{lab.title}: up on {state.network}.0.0/16, process {state.pid}")
    if not running:
        print("no lab is up")
    return 0 if running else 1


def _labs(options: argparse.Namespace) -> "list[tuple[Lab, Path]]":
    """Return the labs that a command is about, and where their state is."""
    from aibench_lib import labs

    if options.inventory:
        chosen = [labs.of_inventory(options.inventory)]
    else:
        chosen = [_lab_in(options.state)] if options.state else list(labs.ALL.values())
    return [(lab, options.state or lab.state_dir) for lab in chosen]


def _lab_in(state_dir: Path) -> "Lab":
    """Return the lab that runs with a state folder; where none does, leftovers of any are removed alike."""
    from aibench_lib import labs

    state = labs.SIMULATED.status(state_dir.resolve())
    return labs.ALL[state.kind] if state else labs.SIMULATED


def _platforms(options: argparse.Namespace) -> int:
    from aibench_lib.platforms.capabilities import capabilities

    print(capabilities(options.feature))
    return 0


def _report(options: argparse.Namespace) -> int:
    from aibench_lib.report import kpi_table, write_report

    path = write_report(options.results)
    print(f"{kpi_table(options.results)}\n\nReport: {path}")
    return 0


def _sweep(options: argparse.Namespace) -> int:
    from aibench_lib.sweep import run_sweep

    output = options.output or Path(f"{options.file.stem}.csv")
    points = run_sweep(options.file, output, options.workers, options.scheduler, _progress)
    print(f"{points} points: {output}")
    return 0


def _progress(line: str) -> None:
    """Show how far a command is: in one place on a terminal, else a line each."""
    start, end = ("\r\x1b[K", "") if sys.stderr.isatty() else ("", "\n")
    print(f"{start}{line}", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
