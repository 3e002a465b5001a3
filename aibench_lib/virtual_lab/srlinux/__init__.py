"""A switch whose wires speak Nokia SR Linux: configuration and telemetry by its native paths over gNMI."""
