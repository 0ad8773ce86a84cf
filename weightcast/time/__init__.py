"""Across time: densities at snapshots, and how their weights evolve between them (WeightFlow)."""
