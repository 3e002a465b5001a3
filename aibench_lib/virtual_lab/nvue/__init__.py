"""A switch whose wires speak NVIDIA Cumulus Linux: a shell with NVUE over SSH, telemetry over gNMI."""
