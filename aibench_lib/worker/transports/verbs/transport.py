"""The transport: what :class:`aibench_lib.worker.transports.transport.Transport` promises, with verbs."""

from collections.abc import Mapping, Sequence

from aibench_lib.worker.transports.rows import Rows
from aibench_lib.worker.transports.transport import Options, Sender, SendQueue, TransportError
from aibench_lib.worker.transports.verbs import queue_pairs
from aibench_lib.worker.transports.verbs.device import Device
from aibench_lib.worker.transports.verbs.library import PyverbsError
from aibench_lib.worker.transports.verbs.loop import Loop
from aibench_lib.worker.transports.verbs.receivers import Receivers
from aibench_lib.worker.transports.verbs.senders import Senders


class Verbs:
    """Queue pairs of one group, on the RDMA device that has the host's address.

    Args:
        options: How the transports of this host are set.
    """

    label = ""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._device: Device | None = None
        self._senders: Senders | None = None
        self._receivers: Receivers | None = None

    def prepare(self, queues: Sequence[SendQueue]) -> Mapping[int, bytes]:
        """Make the sending queue pairs and register their memory; return queue pair -> its end.

        Raises:
            TransportError: The device, its memory or its queues do not let it.
        """
        self._device = Device(self._options)
        self.label = self._device.label
        if not queues:
            return {}
        self._senders = Senders(self._device, queues, self._options)
        return self._senders.addresses

    def accept(self, senders: Sequence[Sender]) -> Mapping[tuple[str, int], bytes]:
        """Make the receiving queue pairs, post their receives and connect them; return (host, queue pair) -> its end.

        Raises:
            TransportError: The device, its memory or its queues do not let it, or it finds no way to a sender.
        """
        if not senders:
            return {}
        self._receivers = Receivers(self._open_device, senders)
        return self._receivers.addresses

    def join(self, receivers: Mapping[int, bytes]) -> None:
        """Connect the sending queue pairs.

        Raises:
            TransportError: An end is missing, or the device finds no way to it.
        """
        if self._senders:
            self._senders.join(receivers)

    def run(self, t0_ns: int, deadline_ns: int, rows: Rows) -> None:
        """Send and receive until all is done or the deadline has passed.

        Raises:
            TransportError: A queue pair failed in a way that no row can say.
        """
        loop = Loop(software=self.label == "soft-roce")
        sides = (self._senders.outgoing if self._senders else [], self._receivers.incoming if self._receivers else [])
        if self._senders:
            loop.send(sides[0], self._senders.ends.sent, self._senders.ends.received)
        if self._receivers:
            loop.receive(sides[1], self._receivers.ends.sent, self._receivers.ends.received)
        for outgoing in sides[0]:
            outgoing.start(t0_ns, rows)
        for incoming in sides[1]:
            incoming.start(rows)
        try:
            loop.run(deadline_ns)
        except PyverbsError as error:
            raise TransportError(
                f"the device refuses work ({error}); is its driver loaded, and the port up?"
            ) from error
        finally:
            for outgoing in sides[0]:
                outgoing.give_up()
        failures = [end.failure for side in sides for end in side if end.failure]
        if failures:
            raise failures[0]

    def states(self) -> Mapping[str, str]:
        """Return ``peer/qp`` -> the queue pair's state, asked of the device; receiving ones have ``from`` before it."""
        states = {}
        for outgoing in self._senders.outgoing if self._senders else []:
            states[outgoing.name] = queue_pairs.state(outgoing.pair)
        for incoming in self._receivers.incoming if self._receivers else []:
            states[f"from {incoming.name}"] = queue_pairs.state(incoming.pair)
        return states

    def close(self) -> None:
        """Destroy queue pairs, then take back memory, then close the device."""
        for side in (self._senders, self._receivers):
            if side:
                side.ends.close()
        self._senders = self._receivers = None
        if self._device:
            self._device.close()
            self._device = None

    @property
    def _open_device(self) -> Device:
        if not self._device:
            raise TransportError("the device is not open: prepare comes first, and close last")
        return self._device
