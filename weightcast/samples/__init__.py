"""Samples of a stochastic system at several times, in the forms that users bring them.

`read_samples` reads any of them, `split_snapshots` holds out the part that only the evaluation sees; what they give is
the form that the whole pipeline reads (`weightcast.samples.snapshots`).
"""

from weightcast.samples.formats import recognise
from weightcast.samples.read import import_snapshots, read_samples
from weightcast.samples.record import TimedSamples
from weightcast.samples.split import split_snapshots

__all__ = ["TimedSamples", "import_snapshots", "read_samples", "recognise", "split_snapshots"]
