"""A switch whose wires speak Cisco NX-OS as a Nexus 9000 does: the CLI over SSH, telemetry over gNMI."""
