"""What is received again and again from one switch, as plain data, and what it means in our words.

Mostly a gNMI subscription; from a switch that streams nothing, a command that prints documents.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from aibench_lib.errors import SpecError
from aibench_lib.telemetry.measurements import FIELDS, TAGS

MODES = ("sample", "on_change")
ENCODINGS = ("proto", "json_ietf", "json")


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """What to ask of which switch, and how to read the answer.

    Raises:
        SpecError: An unknown measurement, tag, field, mode or encoding, or an interval that cannot work.
    """

    host: str
    """The switch's inventory name; the tag ``switch`` of every record."""
    address: str
    port: int
    username: str
    password: str = field(repr=False)
    ca: str | None = None
    """Path of the PEM file that proves the switch's certificate; None: the system's authorities."""
    tls: bool = True
    """False only where the switch serves gNMI in plain text."""
    path: str
    """A gNMI path that spells out its list keys, ``*`` for every entry: ``/interface[name=*]/statistics``; of a polled
    document, the key of the list that is meant."""
    command: str = ""
    """Printed by this command over SSH: a JSON document a line, with ``time_ns``.  Empty: streamed by gNMI."""
    key_file: str | None = None
    """Private key for SSH; None means the password."""
    known_hosts: str | None = None
    """File with the switch's SSH host key; None means the user's own."""
    where: Mapping[str, object] = field(default_factory=dict)
    """Of the entries of a polled list that count: key -> value, or a list of values."""
    origin: str = ""
    """The path's origin, such as ``eos_native``; mostly none."""
    target: str = ""
    """Of the prefix, the same in all subscriptions to a switch; mostly none."""
    encoding: str = "proto"
    mode: str
    """``sample`` or ``on_change``."""
    interval_ns: int = 0
    """Between two samples [ns of the switch's clock]; only of mode ``sample``."""
    heartbeat_ns: int = 0
    """Longest silence of an unchanged leaf [ns]; 0: none is promised."""
    suppress_redundant: bool = False
    """Leave unchanged leaves out of a sample until the next heartbeat."""
    measurement: str
    tags: Mapping[str, str]
    """Our tag -> the list key (``name``, or ``queue/name`` where several lists have one) or leaf it is read from."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Our tag -> its value, where the path itself is about one port or queue and no key says so."""
    leaves: Mapping[str, str]
    """Device leaf, relative to ``path`` (the path's last name where that is the leaf itself) -> our field."""
    true_when: Mapping[str, str] = field(default_factory=dict)
    """Our field -> the device's word for true; all truth values among ``leaves`` are here."""
    scale: Mapping[str, int] = field(default_factory=dict)
    """Our field -> what the device's number is multiplied with."""
    prefixes: Mapping[str, str] = field(default_factory=dict)
    """How an interface's name begins on the device -> how it begins in the tag ``interface``."""

    def __post_init__(self) -> None:
        where = f"{self.host}: telemetry {self.path}"
        if self.measurement not in TAGS:
            raise SpecError(f"{where}: unknown measurement {self.measurement!r}; known: {', '.join(TAGS)}")
        needed = [tag for tag in TAGS[self.measurement] if tag != "switch"]
        given = sorted((*self.tags, *self.fixed))
        if given != sorted(needed):
            raise SpecError(f"{where}: tags must name the sources of {needed}, found {given}")
        fields = FIELDS[self.measurement]
        for name in self.leaves.values():
            if name not in fields:
                raise SpecError(f"{where}: {self.measurement} has no field {name!r}; known: {', '.join(fields)}")
            if (fields[name] == pa.bool_()) != (name in self.true_when):
                raise SpecError(f"{where}: field {name} must be in true_when if it is a truth value, and only then")
        if self.mode not in MODES:
            raise SpecError(f"{where}: mode is one of {', '.join(MODES)}, not {self.mode!r}")
        if self.encoding not in ENCODINGS:
            raise SpecError(f"{where}: encoding is one of {', '.join(ENCODINGS)}, not {self.encoding!r}")
        if self.mode == "sample" and self.interval_ns <= 0:
            raise SpecError(f"{where}: mode sample needs interval_ns > 0, found {self.interval_ns}")
        if self.suppress_redundant and self.heartbeat_ns <= 0:
            raise SpecError(f"{where}: suppress_redundant needs heartbeat_ns > 0: silence must not look like a gap")

    @property
    def is_sampled(self) -> bool:
        """Whether messages come at a rate that is known beforehand."""
        return self.mode == "sample"

    @property
    def is_event_log(self) -> bool:
        """Whether entries appear only when there is something to say of them, as in a record of congestion.

        So it is where leaves, not list keys, say what a message is about; a list's entries all come with each sample.
        """
        return not self.command and not all(
            f"[{source.rpartition('/')[2]}=" in self.path for source in self.tags.values()
        )

    @property
    def is_expected(self) -> bool:
        """Whether a sample of every series will come, so that it can be waited for."""
        return self.is_sampled and not self.is_event_log

    @property
    def longest_silence_ns(self) -> int | None:
        """From one message to the next, beyond which there is a gap [ns]; None where silence is normal."""
        if self.is_event_log:
            return None
        longest = 2 * max(self.heartbeat_ns, self.interval_ns if self.is_sampled else 0)
        return longest or None
