"""The coordinator of the traffic agents, and the samples they send back."""
