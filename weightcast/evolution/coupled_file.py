"""Where a study's couplings lie. Snakemake reads this file in every process that it starts."""

from __future__ import annotations

from pathlib import Path

COUPLINGS = Path("couplings", "all.safetensors")
"""Those of all snapshots, in the folder of the study's results."""
