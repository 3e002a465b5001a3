"""What waits to be sent to one subscriber."""

import asyncio

_PARTS = 64


class Outbox:
    """Parts of trials, in order; a full one holds the trial up, so that memory does not grow with the trial's length.

    Args:
        patience_seconds: How long the lab waits for a subscriber that takes nothing [s of wall time].
    """

    def __init__(self, patience_seconds: float = 30.0) -> None:
        self._patience_seconds = patience_seconds
        self._queue: asyncio.Queue[list[bytes] | None] = asyncio.Queue(_PARTS)
        self._closed = False

    async def put(self, messages: list[bytes]) -> None:
        """Wait for room and add messages; a subscriber that makes none in time is given up."""
        if not messages or self._closed:
            return
        try:
            await asyncio.wait_for(self._queue.put(messages), self._patience_seconds)
        except TimeoutError:
            self.close()

    def put_now(self, messages: list[bytes]) -> None:
        """Add messages without waiting; where there is no room, the subscriber is given up."""
        if not messages or self._closed:
            return
        try:
            self._queue.put_nowait(messages)
        except asyncio.QueueFull:
            self.close()

    async def take(self) -> list[bytes] | None:
        """Wait for messages and return them; None: the subscriber has been given up."""
        return await self._queue.get()

    def close(self) -> None:
        """Forget what is there, and take no more; releases whoever waits."""
        self._closed = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
