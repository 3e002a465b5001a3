"""The 32 bits that travel with a message: which row of which queue pair, or a word between the two ends.

Words between the ends are SENDs without bytes, for which neither end needs access to the other's memory.
"""

import socket

from aibench_lib.worker.transports.verbs.library import RECEIVED_WRITE, WC, WITH_IMM

CREDIT, END, VERDICT = 1, 2, 3
"""The receiver has posted so many receives again; the sender is through after so many rows; how many places differ."""
SEQUENCES = 1 << 24
"""Rows of a queue pair are counted modulo this."""
_NUMBERS = 1 << 28


def of_row(qp: int, sequence: int) -> int:
    """Return the immediate of a row, as a work request wants it: in the network's order."""
    return socket.htonl((qp & 0xFF) << 24 | sequence % SEQUENCES)


def sequence_of(completion: WC) -> int:
    """Return the number of the row whose immediate has arrived."""
    return socket.ntohl(completion.imm_data) % SEQUENCES


def of_word(kind: int, number: int) -> int:
    """Return the immediate of a word."""
    return socket.htonl(kind << 28 | number % _NUMBERS)


def word_of(completion: WC) -> tuple[int, int]:
    """Return the kind and the number of a word; (0, 0) if what has arrived is none."""
    if completion.opcode == RECEIVED_WRITE or completion.byte_len or not completion.wc_flags & WITH_IMM:
        return 0, 0
    return divmod(socket.ntohl(completion.imm_data), _NUMBERS)
