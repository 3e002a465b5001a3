import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playbook_lab import Lab, virtual_lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A virtual lab that is up, on a network that no other process of the test run uses."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    with virtual_lab(tmp_path, f"127.{210 + worker}") as up:
        yield up
