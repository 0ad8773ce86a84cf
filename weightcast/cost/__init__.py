"""What a study will cost: its jobs as Snakemake plans them, and a few steps of their own stages, timed.

:mod:`weightcast.cost.jobs` asks the workflow which jobs there are, :mod:`weightcast.cost.rehearsal` runs one of each
kind on a part of the study, :mod:`weightcast.cost.forecast` adds up, :mod:`weightcast.cost.words` says it.
"""
