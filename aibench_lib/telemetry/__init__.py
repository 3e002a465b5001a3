"""The collector of the switches' telemetry, its stores, and readers of what it has stored."""
