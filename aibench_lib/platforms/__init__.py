"""Switch platforms as data: what a platform can express, in which units, and the words it wants to hear.

A platform is a folder ``templates/<platform>/`` with a ``platform.yml`` and one small template a feature.
Adding a platform adds a folder, no Python.
"""

from aibench_lib.platforms.load import TEMPLATES, load_platform, platform_names
from aibench_lib.platforms.model import (
    KEY,
    Block,
    Checkpoint,
    Choice,
    Cli,
    DeadMan,
    Edit,
    Feature,
    FromText,
    Gnmi,
    Need,
    Platform,
    Range,
    ReadBack,
    Sessions,
    Shape,
    TextRestore,
    Transport,
)
from aibench_lib.platforms.shown import DeviceFacts, Polled, PolledSample, Show, TelemetryPath
from aibench_lib.platforms.source import Source

__all__ = [
    "KEY",
    "TEMPLATES",
    "Block",
    "Checkpoint",
    "Choice",
    "Cli",
    "DeadMan",
    "DeviceFacts",
    "Edit",
    "Feature",
    "FromText",
    "Gnmi",
    "Need",
    "Platform",
    "Polled",
    "PolledSample",
    "Range",
    "ReadBack",
    "Sessions",
    "Shape",
    "Show",
    "Source",
    "TelemetryPath",
    "TextRestore",
    "Transport",
    "load_platform",
    "platform_names",
]
