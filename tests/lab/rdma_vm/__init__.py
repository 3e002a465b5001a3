"""A Debian guest with soft-RoCE devices, under QEMU's own CPU emulation: real verbs without root, KVM or an RDMA NIC.

``machine.run`` boots it, runs one command in it, and returns what the command left behind; see its docstring, and
``docs/rdma.md`` for what such a guest can and cannot show.
"""
