"""A switch whose wires speak Junos: the CLI over SSH, OpenConfig and native telemetry over gNMI."""
