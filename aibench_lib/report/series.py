"""Read what single trials followed over time: the rate of each traffic class."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from aibench_lib.errors import SpecError


@dataclass(frozen=True, kw_only=True)
class RateSeries:
    """The rates of the traffic classes over one trial."""

    trial: str
    test: str
    setting: Mapping[str, Any]
    point: Mapping[str, Any]
    introduced_us: float | None
    """When the second class was introduced, after T0 [us]."""
    converged_us: float | None
    """From when on the rates stay at their steady state, after T0 [us]; None where that never happened."""
    window_us: float | None
    """Over how long each rate was measured [us]; None where the file does not say."""
    rates: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """Class -> begin of each rate's window after T0 [us], ascending, and rate [GB/s]."""


def read_series(results: Path, test: str) -> tuple[RateSeries, ...]:
    """Return the series of a test, first run trial first.

    Raises:
        SpecError: A file does not say of which trial it is, or lacks a column.
    """
    files = sorted((results / "series").glob("*.parquet"))
    heads = [(path, pq.read_schema(path).metadata or {}) for path in files]
    own = [(path, metadata) for path, metadata in heads if metadata.get(b"test", b"").decode() == test]
    own.sort(key=lambda found: int(found[1].get(b"t0_ns", b"0")))
    return tuple(_series(path, metadata) for path, metadata in own)


def _series(path: Path, metadata: Mapping[bytes, bytes]) -> RateSeries:
    table = pq.read_table(path)
    try:
        return RateSeries(
            trial=metadata[b"trial"].decode(),
            test=metadata[b"test"].decode(),
            setting=json.loads(metadata[b"setting"]),
            point=json.loads(metadata[b"point"]),
            introduced_us=_moment(metadata, b"introduced_us"),
            converged_us=_moment(metadata, b"converged_us"),
            window_us=_moment(metadata, b"window_us"),
            rates={name: _of_class(table, name) for name in table["class"].unique().to_pylist()},
        )
    except KeyError as error:
        missing = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise SpecError(f"{path}: lacks {missing!r}; it holds no rates of a trial") from error


def _of_class(table: pa.Table, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows = table.filter(pc.field("class") == name).sort_by("time_us")
    return rows["time_us"].to_numpy(), rows["rate_gbytes_per_second"].to_numpy()


def _moment(metadata: Mapping[bytes, bytes], key: bytes) -> float | None:
    text = metadata.get(key, b"").decode()
    return float(text) if text not in ("", "None", "n/a") else None
