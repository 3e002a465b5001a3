"""Traffic over TCP: there on every host, with the samples that RDMA transports have.

A queue pair is a connection.  A message is a header and its payload; the receiving process stamps its last byte and
answers, and the answer's arrival completes the message at the sender.  ECN is the kernel's own affair in TCP: packets
carry ECT only where both hosts have ``net.ipv4.tcp_ecn`` set to 1 (or a congestion control that insists).
"""

from aibench_lib.worker.transports.tcp.transport import Tcp

__all__ = ["Tcp"]
