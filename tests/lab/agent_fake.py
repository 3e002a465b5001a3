"""A transport that sends nothing: it makes rows, or fails, as a trial's seed says."""

import enum
import os
import signal
import time

from aibench_lib.worker.transports import clock
from aibench_lib.worker.transports.transport import TransportError


class Seed(enum.IntEnum):
    """What goes wrong."""

    NOTHING = 0
    MEMLOCK = 1
    DIES_IN_PREPARE = 2
    DIES_IN_ACCEPT = 3
    DIES_IN_JOIN = 4
    DIES_IN_RUN = 5
    HANGS_IN_PREPARE = 6
    HANGS_IN_RUN = 7
    DISK_FULL = 8
    BUG = 9
    NO_MEMORY = 10


class Fake:
    label = "tcp"

    def __init__(self, options):
        self.options = options

    def _step(self, name):
        seed = Seed(self.options.seed)
        if seed.name == f"DIES_IN_{name}":
            os.kill(os.getpid(), signal.SIGKILL)
        if seed.name == f"HANGS_IN_{name}":
            time.sleep(1000)

    def prepare(self, queues):
        self._step("PREPARE")
        if self.options.seed == Seed.MEMLOCK:
            raise TransportError("memlock is 8192 KiB, the trial needs 1 GiB;\nset LimitMEMLOCK=infinity")
        if self.options.seed == Seed.NO_MEMORY:
            raise MemoryError
        self.queues = queues
        return {queue.qp: f"address of {queue.qp}".encode() for queue in queues}

    def accept(self, senders):
        self._step("ACCEPT")
        self.senders = senders
        return {(sender.host, sender.qp): sender.address + b" accepted" for sender in senders}

    def join(self, receivers):
        self._step("JOIN")
        for qp, address in receivers.items():
            assert address == f"address of {qp} accepted".encode()

    def run(self, t0_ns, deadline_ns, rows):
        self._step("RUN")
        if self.options.seed == Seed.DISK_FULL:
            raise OSError(28, "No space left on device")
        if self.options.seed == Seed.BUG:
            raise ValueError("what nobody\nthought of")
        for place, queue in enumerate(self.queues):
            if queue.loop:
                for number in range(queue.loop.size_bytes):
                    rows.sample(place, 1, number, t0_ns, t0_ns + 1, t0_ns + 2)
                continue
            for message in queue.messages:
                posted = clock.now_ns()
                rows.sample(place, 1, message.size_bytes, t0_ns + message.offset_ns, posted, clock.now_ns())
        for place, _ in enumerate(self.senders):
            rows.receipt(place, 0, 1, clock.now_ns())

    def states(self):
        return {f"{queue.peer}/{queue.qp}": "RTS" for queue in self.queues}

    def close(self):
        pass
