"""Distances between two sets of samples, and statistics of one, for distributions that evolve over time.

Throughout, a set of samples is an array [sample, dimension] in the units of the state, and where the two sets play
different roles the forecast comes first (``x``) and the truth second (``y``).
"""
