"""A switch whose wires speak Dell Enterprise SONiC: its own CLI over SSH, OpenConfig telemetry over gNMI."""
