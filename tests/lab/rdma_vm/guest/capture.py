"""What passes a port of the switch: RoCE v2 packets counted by what their headers say.

Run in the switch's namespace: it prints a line when it listens, and JSON when its standard input ends.
"""

import json
import select
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

ROCE_PORT = 4791
_HEADERS = 74
"""Ethernet 14, IPv4 20, UDP 8, BTH 12, RETH 16, immediate 4 [bytes]."""
_ONLY_WITH_IMM = 0x0B
_SO_RCVBUFFORCE = 33
_ETH_P_ALL = 3
_PACKET_OUTGOING = 4


@contextmanager
def captured(port: str) -> Iterator[dict]:
    """Fill a dictionary with what has passed a port while the block ran.

    Its keys: ``packets``, a list of [source, UDP source port, type of service, opcode, count]; ``immediates``, those of
    single-packet messages; ``queue_pairs``, a list of [UDP source port, destination queue pair].
    """
    command = ["ip", "netns", "exec", "switch", sys.executable, "-m", "rdma_vm.guest.capture", port]
    found: dict = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        yield found
        process.stdin.close()
        found.update(json.loads(process.stdout.read()))


def _main(port: str) -> None:
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
    listener.bind((port, _ETH_P_ALL))
    packets, immediates, pairs = Counter(), [], set()
    print("listening", flush=True)  # noqa: T201 - the other end waits for it
    idle = False
    while not idle or not select.select([sys.stdin], [], [], 0)[0]:
        idle = not select.select([listener], [], [], 0.2)[0]
        if idle:
            continue
        packet, origin = listener.recvfrom(_HEADERS)
        is_roce = packet[12:14] == b"\x08\x00" and packet[23] == socket.IPPROTO_UDP
        if origin[2] == _PACKET_OUTGOING or not is_roce or int.from_bytes(packet[36:38], "big") != ROCE_PORT:
            continue
        source_port, opcode = int.from_bytes(packet[34:36], "big"), packet[42]
        packets[socket.inet_ntoa(packet[26:30]), source_port, packet[15], opcode] += 1
        pairs.add((source_port, int.from_bytes(packet[47:50], "big")))
        if opcode == _ONLY_WITH_IMM:
            immediates.append(int.from_bytes(packet[70:74], "big"))
    rows = [[*key, count] for key, count in sorted(packets.items())]
    print(json.dumps({"packets": rows, "immediates": immediates, "queue_pairs": sorted(pairs)}))  # noqa: T201


if __name__ == "__main__":
    _main(sys.argv[1])
