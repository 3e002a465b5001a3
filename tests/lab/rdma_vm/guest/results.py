"""How a job in the guest tells the test on the machine what it has found."""

import json
from pathlib import Path
from typing import Any

_FILE = Path("/job/results.json")


class Results:
    """Named findings, on disk as soon as they are there, so that a guest that dies leaves those before."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def add(self, name: str, finding: Any) -> None:
        """Keep a finding that JSON can say."""
        self._found[name] = finding
        _FILE.write_text(json.dumps(self._found))
