"""Samples of a stochastic system at several times, in the forms that users bring them.

:mod:`weightcast.samples.read` reads any of them, :mod:`weightcast.samples.split` holds out the part that only the
evaluation sees; what they give is the form that the whole pipeline reads (:mod:`weightcast.samples.snapshots`).
"""
