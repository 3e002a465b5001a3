"""How a host sends: one module a transport, all with the same face and the same samples."""
