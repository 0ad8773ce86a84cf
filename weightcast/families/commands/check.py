"""``weightcast check`` of a study of environments across time: its data, and its plan in words."""

from __future__ import annotations

from pathlib import Path

from weightcast.core.console.warning import warn
from weightcast.core.environment_table import EnvironmentTable
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.simulated_system import simulated_system
from weightcast.evolution.state_space import Counts, Reals
from weightcast.families.baselines.rate_fit import Constants
from weightcast.families.config.load import check_family_table
from weightcast.families.config.study import FamilyStudy
from weightcast.families.gathering import import_family, settings_of
from weightcast.families.scorable import check_cases
from weightcast.families.sources import source_files
from weightcast.systems.stochastic import default_times


def check_family_study(study: FamilyStudy, table: EnvironmentTable, source: Path) -> dict[str, list[str]]:
    """Check the data of a study of environments across time.

    Args:
        study: its configuration.
        table: of its environments.
        source: the file it was read from, for messages.

    Returns:
        its plan, subject by subject.

    Raises:
        InputError: the first thing that is wrong, by file and field.
    """
    check_family_table(study, table, source)
    data, repeated = study.data, list[str]()
    if data.imported:
        source_files(data, table)
        snapshots = import_family(data, table, study.seed)
        for warning in check_cases(study, snapshots, table):
            warn(warning)
        observed = [int(one.observed.sum()) for one in snapshots.environments.values()]
        words = f"{study.data.file}: {_range(observed)} snapshots of an environment"
    else:
        assert data.trajectories is not None  # parse_family_study has seen to it
        for environment in table:
            process = simulated_system(settings_of(data, environment, str(source)), source)
        times = default_times(process, data.trajectories.times)
        observed = [len(times[:: data.observed_every])]
        words = f"{data.source}: {data.trajectories.train} trajectories of an environment, {observed[0]} snapshots"
        if study.opponents.rate_fit is not None:
            Constants.of(data.source, data.settings, table)
    if not table.parameter_names:
        warn(f"{table.path}: found no parameters: nothing is compared with what is told them")
    space = (
        Counts(data.states, len(data.dimensions))
        if data.states is not None
        else Reals((0.0,) * len(data.dimensions), (1.0,) * len(data.dimensions), study.density.components)
    )
    graph = StackedDensity.new(study.density, space, study.seed).graph
    paths = study.paths
    return {
        "study": [study.study],
        "data": [words, *_masses(study), "parameters: " + (", ".join(table.parameter_names) or "none")],
        "environments": [
            f"{len(table.visible)} visible, of which {paths.left_out} are left out once to choose",
            f"{len(table.interpolation)} inside, {len(table.extrapolation)} outside to test on",
        ],
        "density": [f"{study.density.backbone}: {graph.num_parameters:,} weights, {graph.num_nodes} nodes", *repeated],
        "maps": [
            f"{' or '.join(paths.kinds)}, of codes of {paths.code} numbers, through {paths.rank} directions",
            f"{len(paths.seeds)} seeds, each told codes ({paths.maps} {'map' if paths.maps == 1 else 'maps together'})"
            f"{', parameters' if table.parameter_names else ''} and nothing",
            *_beside_maps(study),
        ],
        "cases": [
            f"{name}: {case.samples} samples at "
            + (f"each of the first {case.snapshots} snapshots" if case.times is None else _times(case.times))
            for name, case in study.evaluation.shown.items()
        ],
        **({"opponents": _opponents(study)} if study.has_opponents else {}),
    }


def _masses(study: FamilyStudy) -> list[str]:
    """That sizes of populations are learned, where they are."""
    if study.data.mass is None:
        return []
    known = "numbers of samples" if study.data.mass == "samples" else "a column"
    return [f"sizes of the populations, from {known}, are learned as well (data.mass)"]


def _opponents(study: FamilyStudy) -> list[str]:
    """The further ones, in words."""
    found = []
    if study.opponents.rate_fit is not None:
        found.append("rate constants fitted to the shown samples, the equations known")
    if study.opponents.interpolation is not None:
        found.append("visible environments interpolated, their samples and their paths")
    if (flow := study.opponents.flow_matching) is not None:
        found.append(f"flow matching with conditions, {flow.training.steps} steps")
    if study.opponents.trend is not None:
        found.append("the shown samples alone, along a damped trend")
    return found


def _beside_maps(study: FamilyStudy) -> list[str]:
    """What is trained with the maps that are told codes, where anything is."""
    found = []
    if (reader := study.inference.encoder) is not None:
        found.append(
            f"a network that reads samples is trained beside each that is told codes, {reader.training.steps} steps"
        )
    if (zoo := study.paths.zoo) is not None:
        found.append(f"experts of all visible environments begin at each of these, {zoo.training.steps} steps")
        if zoo.diffusion is not None:
            found.append(
                f"a diffusion of their codes is compared with a normal prior, {zoo.diffusion.training.steps} steps"
            )
        if zoo.vae is not None:
            found.append(
                f"an autoencoder of the experts' paths is trained, {zoo.vae.training.steps} steps; experts of unseen "
                "environments are trained for reference, which it encodes and decodes"
            )
            if zoo.vae.diffusion is not None:
                found.append(
                    f"a conditional diffusion of its codes is trained, {zoo.vae.diffusion.training.steps} steps"
                )
    return found


def _times(times: list[float]) -> str:
    return ("each of " if len(times) > 1 else "") + ", ".join(f"{time:g}" for time in times)


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"
