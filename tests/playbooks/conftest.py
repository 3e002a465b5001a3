from collections.abc import Iterator
from pathlib import Path

import pytest
from playbook_lab import Lab, virtual_lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A virtual lab that is up."""
    with virtual_lab(tmp_path, "127.97") as up:
        yield up
