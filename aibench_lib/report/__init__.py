"""From the results of a run to the report of Section 14 and to the table on the terminal."""

from aibench_lib.report.document import write_report
from aibench_lib.report.terminal import kpi_table

__all__ = ["kpi_table", "write_report"]
