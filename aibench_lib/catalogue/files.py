"""The data files that lie beside this module."""

from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path


def data_file(name: str) -> AbstractContextManager[Path]:
    """Return a context in which the data file ``name`` of the catalogue exists at a path."""
    return resources.as_file(resources.files("aibench_lib.catalogue") / name)
