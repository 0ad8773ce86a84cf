"""One of several processes that share the stages of a tiny study.

    shared_chain.py CONFIG FOLDER OUTPUT

The study of `tiny_chain` lies trained in FOLDER, its configuration is CONFIG. Each stage that can be shared is run again
from its files, and the first process writes what it returns to OUTPUT.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tiny_chain import Chain

from weightcast.core.processes import Processes
from weightcast.core.run import Run
from weightcast.studies import load_plan

SHARED = {
    "train_experts": {"base": "conditioned", "shard": "visible-000"},
    "train_vae": {"arm": "conditioned", "seed": "0"},
    "train_diffusion": {"arm": "conditioned", "seed": "0"},
    "tune_generator": {"arm": "conditioned", "seed": "0"},
}


def main(config: Path, folder: Path, output: Path) -> None:
    processes = Processes.started()
    processes.meet(Run().device)
    chain = Chain(load_plan(config), folder, run_of=lambda **told: Run(processes=processes, **told))
    for stage, of in SHARED.items():
        made = chain.call(stage, chain.inputs_of(stage), **of)
        if processes.leads:
            made.save(output / f"{stage}.safetensors")
    processes.leave()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
