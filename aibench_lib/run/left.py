"""All that a run has left as it was not: switches, PAUSE storms of hosts' NICs, and agents on hosts."""

from typing import Any

from aibench_lib.journal import Journal
from aibench_lib.run import storm
from aibench_lib.switch.record import unrestored


def left_changed(journal: Journal) -> list[str]:
    """Return what somebody must still bring back, by the names that a person knows it by."""
    return [
        *unrestored(journal),
        *(f"{one.host} (PAUSE storm)" for one in storm.standing(journal)),
        *(f"{host} (agent in {record['folder']})" for host, record in standing(journal).items()),
    ]


def standing(journal: Journal) -> dict[str, dict[str, Any]]:
    """Return host -> what was deployed there and is not known to be removed."""
    found: dict[str, dict[str, Any]] = {}
    for event in journal.events():
        if event["event"] == "workers_deployed":
            for record in event["hosts"]:
                found[record["host"]] = {**record, "keys": event["keys"], "time": event["time"]}
        elif event["event"] == "workers_removed":
            for host in event["hosts"]:
                found.pop(host, None)
    return found
