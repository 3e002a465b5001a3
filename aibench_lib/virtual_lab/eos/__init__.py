"""A switch whose wires speak Arista EOS: the CLI over SSH, OpenConfig telemetry over gNMI."""
