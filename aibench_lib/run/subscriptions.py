"""What the collector subscribes to: the observed queues finely, everything else of the fabric coarsely."""

from collections.abc import Sequence

from aibench_lib.model import Port
from aibench_lib.run.lab import Lab
from aibench_lib.run.plan import Profile
