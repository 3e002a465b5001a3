"""The simulated lab: one process that answers on the wires of a real lab; only what stands behind them is simulated."""
