"""The fabric from the inventory's data, and the addresses of its data plane."""

from aibench_lib.topology.addresses import host_address, port_address
from aibench_lib.topology.files import load_topology, parse_topology

__all__ = ["host_address", "load_topology", "parse_topology", "port_address"]
