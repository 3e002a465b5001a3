"""The memory that messages are read from and written to: own pages, there before they are registered."""

import contextlib
import ctypes
import hashlib
import mmap
from collections.abc import Sequence

from aibench_lib.worker.transports.transport import TransportError
from aibench_lib.worker.transports.verbs import errors
from aibench_lib.worker.transports.verbs.library import MR, PD, PyverbsRDMAError

SHARED_ABOVE_BYTES = 1 << 30
"""Queue pairs that want more than this together share one region as large as the largest of them wants."""
_HUGE_BYTES = 2 << 20
_MAP_HUGETLB = 0x40000  # linux/mman.h; Python has no name for it
_PERIOD_BYTES = 63 * 1024 + 8
"""Of the pattern that payloads are made of: bytes that were moved by a page differ."""


class Region:
    """Memory of this process, in huge pages where the host has free ones.

    Args:
        size_bytes: At least this much.
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = max(size_bytes, 1)
        self._pages = _pages(self.size_bytes)
        self._first = ctypes.c_char.from_buffer(self._pages)
        self.address = ctypes.addressof(self._first)
        self.view = memoryview(self._pages)

    def fill(self, key: str) -> None:
        """Write the pattern of a key."""
        tile = _tile(key)
        for begin in range(0, self.size_bytes, len(tile)):
            end = min(begin + len(tile), self.size_bytes)
            self.view[begin:end] = tile[: end - begin]

    def differs(self, key: str, size_bytes: int) -> bool:
        """Return whether the first bytes are other than those of the pattern of a key."""
        tile = _tile(key)
        for begin in range(0, size_bytes, len(tile)):
            end = min(begin + len(tile), size_bytes)
            if bytes(self.view[begin:end]) != tile[: end - begin]:
                return True
        return False


def regions(sizes: Sequence[int], *, apart: bool) -> list[Region]:
    """Return a region for each size, or one for all where together they are too large.

    Args:
        sizes: Of what each queue pair wants [bytes].
        apart: Whether they must not share, since what is in them will be compared.

    Raises:
        TransportError: They must not share but would have to, or there is not so much memory.
    """
    if len(sizes) > 1 and sum(sizes) > SHARED_ABOVE_BYTES:
        if apart:
            raise TransportError(
                f"payloads of {sum(sizes)} bytes in all cannot be compared: use fewer queue pairs, or smaller messages"
            )
        return [Region(max(sizes))] * len(sizes)
    return [Region(size) for size in sizes]


class Registrations:
    """What is registered with a protection domain; one registration a region and kind of access."""

    def __init__(self, domain: PD) -> None:
        self._domain = domain
        self._done: dict[tuple[int, int], MR] = {}

    def register(self, region: Region, access: int) -> MR:
        """Register a whole region, no wider than asked.

        Raises:
            TransportError: The device or a limit of the host does not let it.
        """
        key = (region.address, access)
        if key not in self._done:
            try:
                self._done[key] = MR(self._domain, region.size_bytes, access, address=region.address)
            except PyverbsRDMAError as error:
                raise errors.registration(region.size_bytes, error) from error
        return self._done[key]

    def close(self) -> None:
        """Take everything back."""
        for registration in self._done.values():
            registration.close()
        self._done.clear()


def _tile(key: str) -> bytes:
    return hashlib.shake_128(key.encode()).digest(_PERIOD_BYTES)


def _pages(size_bytes: int) -> mmap.mmap:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    if size_bytes >= _HUGE_BYTES:
        whole = -(-size_bytes // _HUGE_BYTES) * _HUGE_BYTES
        with contextlib.suppress(OSError):  # no free huge pages: usual ones will do
            return mmap.mmap(-1, whole, flags=flags | _MAP_HUGETLB)
    try:
        return mmap.mmap(-1, size_bytes, flags=flags)
    except OSError as error:
        raise TransportError(
            f"cannot have {size_bytes} bytes of memory: {error.strerror}; use fewer queue pairs"
        ) from error
