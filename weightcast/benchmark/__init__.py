"""Scores of the adaptation benchmarks of CoDA and GEPS, defined as their published code computes them."""
