"""The stage ``simulate``: trajectories of a few environments from a simulator, or cut from a package's data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightcast.core.artifact_header import digest_of
from weightcast.core.provenance import code_digest
from weightcast.core.stage import stage
from weightcast.environments.jobs import Simulate
from weightcast.environments.made_trajectories import MadeFiles
from weightcast.environments.trajectory_manifest import Manifest
from weightcast.systems import load_system
from weightcast.trajectories import write_trajectories

if TYPE_CHECKING:
    from weightcast.core.run import Run


@stage("simulate")
def simulate(run: Run, settings: Simulate) -> Manifest:
    """Simulate one environment after the other, but for those whose files are there; simulators compute on the CPU.

    Each file is written as soon as its environment is simulated, beside the output.
    """
    system = load_system(settings.source)
    files = MadeFiles(run.outputs["output"], {} if system.reads_files else _made_from(settings))
    waiting = [row for row in settings.environments if row.id not in files]
    for trajectories in system.trajectories(waiting, settings.settings, settings.seed) if waiting else ():
        write_trajectories(files.path(trajectories.environment), trajectories)
        files.note(trajectories.environment)
    return files.manifest(settings.ids)


def _made_from(settings: Simulate) -> dict[str, str]:
    """A digest, by environment, of all that its trajectories depend on."""
    code = code_digest(__name__, f"weightcast.systems.{settings.source.replace('-', '_')}")
    shared = settings.model_dump(mode="json", exclude={"environments"}) | {"code": code}
    return {row.id: digest_of(shared | {"environment": row.text}) for row in settings.environments}
