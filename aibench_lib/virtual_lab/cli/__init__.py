"""What the command lines of the simulated switches have in common: patterns, trees of lines, an SSH server."""
