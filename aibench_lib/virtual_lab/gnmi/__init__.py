"""The gNMI server of a simulated switch."""
