"""The configuration that ``weightcast init`` writes: study_template.yaml, filled with sizes that fit the data.

Sizes for fields are those of config.yaml, for states without a grid those of config/lotka-volterra.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml

from weightcast.core.environment_table import EnvironmentTable
from weightcast.environments.commands.data_survey import Survey
from weightcast.environments.commands.parameter_scale import logarithmic_parameters
from weightcast.environments.commands.quick_study import quick_text, quick_values
from weightcast.environments.config.data import TrajectoryCounts
from weightcast.environments.plan import check_visible, shard_size

TEMPLATE = Path(__file__).with_suffix(".yaml")
MEMBERS = 2
MANY_TRAJECTORIES = 8
FEW_ENVIRONMENTS = 8
FEW_JUDGES = 16
"""Visible environments up to which the quarter that is left out is too few to choose by at once."""
MOST_MODES = 8
FEWEST_MODES = 4
MANY_FRAMES = 2000
MANY_SHOWN = 50
"""Frames of a record that a practitioner may have of a place that is new."""
NEARLY = 0.9
"""Of them: a single window of so many frames will do."""
READ_TOGETHER = 16
READ_AT_ONCE = 1000
"""Of a table, which every job reads whole."""
CODES = (2, 3)
"""Numbers of a code, of states."""
HIDDEN = 32
"""Width of the two hidden layers of a state's predictor."""
HILL = (1, 2, 3, 4)
"""Powers of Hill functions that are tried where a state's polynomials do not explain what happens."""
FORCES = 2
"""Periods along a side, up to which forces that depend on the place are looked for."""
MOST_EQUATIONS = 5000
"""So many take seconds to solve, hundreds of times; a map whose last layer alone depends on the code has fewer."""

FNO = """\
  kind: fno
  width: 12  # channels inside; more for rich dynamics, at the square of the weights
  modes: $modes  # Fourier modes along y, x; at most half the grid
  depth: 3
  projection: 24
  positional: true  # false where the system is the same everywhere, as on a periodic domain
  # padding: 8  # zeros beyond the edge, for fields that end where they move, as at insulating walls: docs/own-data.md
  residual: true  # predict the increment of a frame"""
UNET = """\
  kind: unet  # fields go on at the opposite side, and there are few: convolutions see each frame as a thousand places
  width: 6
  levels: 2
  padding: circular
  positional: false  # the system is taken to be the same everywhere
  residual: true  # predict the increment of a frame"""
MLP = """\
  kind: mlp  # for a state without a grid
  width: $hidden  # of the hidden layers; more for rich dynamics, at the square of the weights
  depth: 2  # hidden layers
  activation: silu  # or tanh, gelu
  integrator: rk4  # the network is the rate of change; or map: it is the step from a frame to the next
  substeps: $substeps  # of the integrator, between two frames; more for what changes much within a frame"""
MLP_OF_RECORDS = """\
  kind: mlp  # for a state without a grid
  width: $hidden  # of the hidden layers; more for rich dynamics, at the square of the weights
  depth: 2  # hidden layers
  activation: silu  # or tanh, gelu
  integrator: map  # from a step to the next; rk4: the network is the rate of change, four times as slow"""
CONTEXT_OF_FIELDS = """\
  maps: $maps  # from codes to weights; visible environments that are left out choose
  dimensions: $dimensions  # numbers of a code, likewise
  training: {steps: 4000, learning_rate: $base_rate, unroll: $unroll, last_unroll: $last_unroll, batch: $batch, \
environments: $pooled}
  choice: {steps: 1000, frames: $choice_frames}
"""
CONTEXT_OF_STATES = """\
  maps: $maps  # from codes to weights; visible environments that are left out choose
  dimensions: $codes  # numbers of a code, likewise
  training: {steps: $context_steps, learning_rate: 0.003, unroll: $unroll, last_unroll: $last_unroll, batch: 4, \
environments: $pooled}
  choice: {steps: 100, folds: $choice_folds, frames: $choice_frames}
  polish:  # second-order training after it; null: none
    begin: [{steps: 1, iterations: 12}, {steps: 3, iterations: 6}]  # windows of trajectories, before whole ones
    iterations: 30
    penalties: [0.1, 0.03, 0.01, 0.003, 0.001]  # on weights; trajectories and environments left out choose
    choosing_iterations: 8
    choosing_residuals: 6000
    most_residuals: $most_residuals
  refine: {iterations: 20}
"""
CONTEXT_OF_RECORDS = """\
  maps: $maps  # from codes to weights; visible environments that are left out choose
  dimensions: $codes  # numbers of a code, likewise
  training: {steps: $context_steps, learning_rate: 0.003, unroll: $unroll, last_unroll: $last_unroll, batch: 4, \
environments: $pooled}
  # A season's window, or that of some days' weather, says less of a place than it seems to: doubts.
  choice: {steps: $context_choice_steps, folds: $choice_folds, frames: $choice_frames, doubts: [1, 3, 10, 30]}
  # Second-order training after it fits what no place repeats, where records are noisy.
  polish: null
  refine: {iterations: 20}
"""
OF_EQUATIONS = """\
  # Sparse equations are a further candidate, whose code is their coefficients. null: networks alone
  equations: $equations_of_context$about_hill
"""
EQUATIONS = """\
  equations: {degree: 2, hill: $hill, frames: $choice_frames}  # sparse, refitted to the frames; null: none
"""
REGRESSIONS = """\
  autoregression: {penalties: [0.0001, 0.001, 0.01, 0.1]}  # linear, of a state without a grid; null: none
  trees: {iterations: [30, 100], leaves: [4, 16]}  # gradient-boosted, likewise; null: none
"""
EXPLAIN_FIELDS = """\
explain: {equations: false, attention: true}  # where the encoder of weights looks

"""
EXPLAIN_STATES = """\
# explain: {degree: 2}  # generated predictors as equations, by sparse regression; needs the extra `symbolic`

"""

OF_ONE_FILE = """\
  # The first trajectories of a file train, the next ones make choices, the last ones are seen by the evaluation alone.
"""
OF_WINDOWS = """\
  # Windows without missing values, in time: the first train, the next ones make choices, the last ones are seen by the
  # evaluation alone. All places have as many, and the same parts.
"""
OF_GAPPY_WINDOWS = """\
  # Windows in time: the first train, the next ones make choices, the last ones are seen by the evaluation alone. All
  # places have as many, and the same parts. Trainings and scores leave out what is missing; nothing is filled.
  gaps: $gaps  # largest share, and steps in a row, that may be missing; null: windows have all values
"""
DIRECTORY = """\
  directory: $directory
  settings: $settings$settings_comment
"""
OF_WEATHER = """\
  # Which files, hours and points are read, and how they are cut: docs/era5.md.
"""
OF_RECORDS = """\
  # How the table is read and cut: docs/own-data.md.
"""
INPUTS = {
    "dimensions": """\
  dimensions: $file_dimensions  # what files call them
""",
    "inputs": """\
  inputs: $inputs  # not forecast; known over the horizon of a forecast, in the past alone, or constant
""",
    "windows": """\
  windows: true  # trajectories are cut into such of so many frames, earlier ones first
""",
    "gaps": """\
  gaps: $gaps  # largest share, and steps in a row, that may be missing of a trajectory; null: none has a gap
""",
    "land": """\
  land: $land  # what is seen where a file never has a value, on land in the sea, say; no gap
""",
    "regrid": """\
  regrid: $regrid  # where the grid's points lie, first and step: finer and coarser files are brought to it
""",
    "marks": """\
  missing: $marks  # numbers that stand for missing values; []: none, and such as look so are numbers
""",
    "transforms": """\
$transform_reasons  transforms: $transforms  # or {}; scores and forecasts are in the channels' own units all the same
""",
    "calendar": """\
  calendar: $calendar  # the same, derived from dates
""",
}
HISTORY = """\
  # $history_found
  history: $history  # frames that predictors see; frames below count those that have so many
"""
OF_A_BENCHMARK = """\
  # As the files say. Of those that train some may make choices instead: {train: 3, validation: 1, ...}. Of an unseen
  # environment unseen_train are shown, and none makes choices.
"""
ADAPTATION_SCORES = """\
  adaptation_scores: true  # as the benchmark scores: mean square error over all frames; docs/adaptation.md
"""

# What is told the environments' parameters, and what stands in its place where nobody knows any.
WITH_PARAMETERS = {
    "conditioned": """\
  conditioned: {steps: $conditioned_steps, learning_rate: $base_rate, unroll: $unroll, batch: $batch, \
environments: $pooled}
  map: auto  # of the conditioned base: film, low-rank, or what serves left-out visible environments better""",
    "bases": "[erm, conditioned]",
    "arms": """\
  arms:  # configurations that are compared; vae and diffusion may override single keys below
    conditioned: {base: conditioned, end_to_end: true}
    paper:  # the paper's recipe, pooled base and weights only, with a diffusion of what regression of latents leaves
      base: erm
      end_to_end: false
      diffusion: {relative_to: regression, left_out: 0.25, width: 32, layers: 2, batch: 8, training: {steps: 400}}""",
    "relative_to": "relative_to: auto  # to the base's weights in the same environment, or to the zoo's mean, or what "
    "serves left-out visible environments better",
    "told_baselines": """\
  film_matched: {steps: $film_steps, learning_rate: $base_rate, unroll: $unroll, batch: $batch, environments: $pooled}
  hypernetwork:
    rank: 8
    width: 64
    training: {steps: 3000, learning_rate: 0.003, unroll: $unroll, batch: $batch, environments: $pooled}
  regression: {degrees: [1, 2, 3], folds: $folds}""",
}
WITHOUT_PARAMETERS = {
    "conditioned": """\
  # Told parameters, of which the table has none, and so left out: here, in zoo.bases and arms, and in baselines.
  conditioned: null""",
    "bases": "[erm]",
    "arms": """\
  arms: {}  # configurations that are compared; vae and diffusion may override single keys below""",
    "relative_to": "relative_to: base  # what is generated is how experts deviate from the base; or: mean",
    "told_baselines": """\
  film_matched: null
  hypernetwork: null""",
}

# What differs between fields and states beside the predictor. A step costs so much less with a state than with a field
# that trainings are longer, and batches larger.
OF_FIELDS = {
    "context_steps": 4000,
    "batch": 4,
    "base_rate": 0.01,
    "erm_steps": 1500,
    "conditioned_steps": 3000,
    "film_steps": 6000,
    "expert_steps": 250,
    "expert_erm_steps": 400,
    "functional_batch": 2,
    "tuning_steps": 500,
    "tuning_rate": 0.0005,
    "in_context_width": 24,
    "in_context_steps": 2000,
}
OF_STATES = {
    "context_steps": 4000,
    "batch": 16,
    "base_rate": 0.005,
    "erm_steps": 2000,
    "conditioned_steps": 6000,
    "film_steps": 10530,
    "expert_steps": 800,
    "expert_erm_steps": 1500,
    "functional_batch": 16,
    "tuning_steps": 1500,
    "tuning_rate": 0.001,
    "in_context_width": 96,
    "in_context_steps": 6000,
}
OF_RECORDED = {"context_steps": 1500, "in_context_steps": 1500, "erm_steps": 1500}
"""A step of a map from state to state costs little, but noise is soon all that is left to learn."""


def fill_template(
    name: str,
    data: Sequence[Path],
    table: EnvironmentTable,
    found: Survey,
    output: Path,
    settings: Mapping[str, object] | None = None,
    quick: bool = False,
) -> str:
    """A commented configuration, as text.

    Args:
        name: of the study.
        data: its folder; of a long table its files.
        table: of the environments.
        found: what the data holds.
        output: where the configuration will lie; named in its comments.
        settings: how a long table, or weather, is read and cut.
        quick: whether it is to be over in minutes.

    Raises:
        InputError: fewer than two environments are visible.
    """
    check_visible(table)
    visible = len(table.visible)
    benchmark, of_records = found.benchmark, found.format == "table"
    trained_frames = found.frames[0] if benchmark else choose_trained_frames(found.frames[0])
    train, validation, test = split_trajectories(found.trajectories[0])
    counts = found.counts or TrajectoryCounts(train=train, validation=validation, test=test)
    npy, state = found.format == "npy", found.without_grid
    cut = of_records or found.windows.frames is not None
    # More modes than few frames can tell are learned by heart.
    scarce = counts.train * trained_frames * visible < MANY_FRAMES
    modes = [min(choose_modes(points), FEWEST_MODES if scarce else MOST_MODES) for points in found.grid]
    if found.grid[0] == 1:  # along a line
        modes[0] = 0
    # Of few trajectories a network that knows the place learns where things happened to be; convolutions see each frame
    # as a thousand places.
    halved = all(points % 4 == 0 and points >= 16 for points in found.grid)
    local = benchmark and found.periodic and halved and counts.train < MANY_TRAJECTORIES
    # Second-order training solves as many equations as there are unknowns or residuals, whichever are fewer.
    components = len(found.channels)
    seen = found.history * components
    unknowns = (1 + max(CODES)) * (HIDDEN * (seen + HIDDEN + components + 2) + components)
    equations = min(unknowns, visible * counts.train * (trained_frames - 1) * components)
    # Of records, whose noise hides what little more all weights could tell, and which have many places and windows.
    maps_of_states = ["output", "linear"] if equations <= MOST_EQUATIONS and not of_records else ["output"]
    cases = (
        record_cases(found.frames[0], found.history, counts.train)
        if of_records
        else observed_cases(trained_frames, benchmark)
    )
    choice_frames = min(trained_frames, 20 if state else 10)
    if of_records:  # what is said of the first case was settled with as many frames as it shows
        choice_frames = max(choice_frames, cases[0]["frames"])
    values: dict[str, Any] = {
        "table": str(table.path),
        "logarithmic": logarithmic_parameters(table),
        "format": found.format,
        "directory": str(data[0]),
        "file_dimensions": dict(found.dimensions),
        "settings": {"frame_step": 1.0} if npy else {},
        "channels": list(found.channels),
        "inputs": dict(found.inputs),
        "calendar": list(found.calendar),
        "transforms": {one.channel: one.name for one in found.transforms if one.name is not None},
        "grid": list(found.grid),
        "frames": found.frames[0],
        "trained_frames": trained_frames,
        # Of few trajectories the first frames are too few to be shown so often.
        # Windows of a record begin anywhere.
        "start_share": 0.3 if counts.train >= MANY_TRAJECTORIES and not cut else 0.0,
        "together": READ_AT_ONCE if of_records else READ_TOGETHER,
        "trajectories": counts.model_dump(exclude_none=True),
        "unroll": min(4, trained_frames - 1) if state else 2,
        # A benchmark scores all of its few frames.
        "last_unroll": min(trained_frames - 1, 20 if state or benchmark else 4),
        "dimensions": [2, 4] if visible >= FEW_ENVIRONMENTS else [2],
        # A benchmark's trajectories are all needed: polished on 13 of the oscillator's 32, the others got worse.
        "most_residuals": 40000 if benchmark else 16000,
        "codes": list(CODES),
        "hidden": HIDDEN,
        "maps": maps_of_states if state else ["linear", "film"],
        "equations_of_context": {"degree": 2, "hill": list(HILL)} if state else {"degree": 3, "waves": FORCES},
        "hill": list(HILL),
        "context_choice_steps": 500,
        "choice_folds": 3 if visible <= FEW_JUDGES else 1,
        # With a history of several frames, so many and the next, by which they are judged.
        "choice_frames": max(choice_frames, found.history + 1),
        "in_context_frames": max(min(trained_frames, 20 if state else 10), found.history + 1),
        "history": found.history,
        "gaps": None if found.gaps is None else found.gaps.model_dump(),
        "land": dict(found.land),
        "regrid": None if found.regrid is None else found.regrid.model_dump(mode="json"),
        "marks": None if found.marks is None else list(found.marks),
        "observed": cases,
        "pooled": min(12 if state else 8, visible),
        "shard_environments": shard_size(12 if state else 6, visible),
        "members": MEMBERS,
        "vae_batch": min(8 if state else 16, MEMBERS * visible),
        "diffusion_batch": min(16 if state else 32, MEMBERS * visible),
        "folds": min(6, visible),
        "finetune_frames": trained_frames if benchmark else max(min(10, trained_frames), found.history + 1),
        "choosing_environments": min(6, visible),
        "horizons": choose_horizons(found.frames[0], trained_frames),
        **(OF_STATES if state else OF_FIELDS),
        **(OF_RECORDED if of_records else {}),
    }
    values = quick_values(values) if quick else values
    written = {key: in_yaml(value) for key, value in values.items()}
    comment = "  # time between frames, which the files do not hold" if npy else ""
    source = Template(DIRECTORY).substitute(written, settings_comment=comment)
    if of_records:
        source = (
            _block({"files": [str(file) for file in data]}) + OF_RECORDS + _block({"settings": dict(settings or {})})
        )
    if found.format == "era5":
        source = OF_WEATHER + _block({"settings": dict(settings or {})})
    context = CONTEXT_OF_RECORDS if of_records else CONTEXT_OF_STATES if state else CONTEXT_OF_FIELDS
    driven = [name for name in ("inputs", "calendar") if values[name]]
    reasons = "".join(f"  # Predictors see {one.words}.\n" for one in found.transforms if one.why)
    named = [*(["dimensions"] if found.dimensions else []), *(["windows"] if found.windows.frames else [])]
    named += ["land"] if found.land else []
    named += [] if found.regrid is None else ["regrid"]
    named += [] if found.marks is None else ["marks"]
    named += ["gaps"] if found.gaps and not of_records else []
    further = [*named, *(["transforms"] if reasons else []), *driven]
    # Equations are about rates of change, which gaps do not show, and slopes, of which a coast has none.
    equations = state and not driven and not of_records and found.gaps is None
    if equations or (found.periodic and not driven and found.gaps is None and not found.land):
        about = "  # hill: powers of factors by which rates saturate" if state else ""
        context += OF_EQUATIONS.replace("$about_hill", about)
    windows = OF_WINDOWS if found.gaps is None else Template(OF_GAPPY_WINDOWS).substitute(written)
    told = WITH_PARAMETERS if table.parameter_names else WITHOUT_PARAMETERS
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        written,
        **{key: Template(text).substitute(written) for key, text in told.items()},
        context=Template(context).substitute(written),
        name=name,
        study=in_yaml(name),
        output=output,
        predictor=Template(MLP_OF_RECORDS if of_records else MLP if state else UNET if local else FNO).substitute(
            modes=modes, hidden=HIDDEN, substeps=found.substeps
        ),
        history_line=Template(HISTORY).substitute(written, history_found=found.history_found) if of_records else "",
        inputs="".join(Template(INPUTS[name]).substitute(written, transform_reasons=reasons) for name in further),
        equations=Template(EQUATIONS).substitute(written) if equations else "",
        regressions=REGRESSIONS if of_records else "",
        explain=EXPLAIN_FIELDS if not state else EXPLAIN_STATES if equations else "",
        grid_comment="a state without a grid" if state else "points along y, x",
        source=source,
        split_comment=OF_A_BENCHMARK if benchmark else windows if of_records else OF_ONE_FILE,
        adaptation_scores=ADAPTATION_SCORES if benchmark else "",
    )
    return quick_text(text) if quick else text


def observed_cases(trained_frames: int, benchmark: bool) -> list[dict[str, Any]]:
    """What is shown of unseen environments: all that a benchmark gives, or few frames, without noise and with."""
    if benchmark:
        return [{"frames": trained_frames}]
    most = min(10, trained_frames)
    fewer: list[dict[str, Any]] = [{"frames": 2}, {"frames": 2, "noise": 0.05}] if most > 2 else []
    return [{"frames": most}, {"frames": most, "noise": 0.05}, *fewer]


def record_cases(frames: int, history: int = 1, windows: int = 1) -> list[dict[str, Any]]:
    """The same of records, whose noise is their own: ten frames, two, and fifty, of several windows where one is
    shorter; with a history of several frames at least these and the next, by which they are judged.

    Args:
        frames: of a window.
        history: frames that predictors see.
        windows: to train, of each place.
    """
    least, whole = history + 1, frames + history - 1
    counts = [max(least, min(10, whole)), least, max(least, min(MANY_SHOWN, whole))]
    cases: list[dict[str, Any]] = [{"frames": count} for count in dict.fromkeys(counts)]
    several = min(windows, -(-MANY_SHOWN // whole))
    if several > 1 and whole < NEARLY * MANY_SHOWN:
        cases.append({"frames": max(least, min(whole, -(-MANY_SHOWN // several))), "trajectories": several})
        if len(cases) > 3:
            del cases[2]  # a whole window lies between
    return cases


def most_history(frames: int) -> int:
    """Frames that predictors of records may see, of windows of so many frames: the cases that are shown hold more."""
    return max(1, min(10, frames) - 1)


def split_trajectories(count: int) -> tuple[int, int, int]:
    """About 70 % to train, 10 % to validate, 20 % to test, at least one each; ``count`` is 3 or more."""
    validation, test = max(1, round(0.1 * count)), max(1, round(0.2 * count))
    return count - validation - test, validation, test


def choose_trained_frames(frames: int) -> int:
    """So many that twice the trained horizon can be evaluated; 3 at least, where that is not possible."""
    return max(3, (frames - 1) // 2 + 1)


def choose_horizons(frames: int, trained_frames: int) -> list[int]:
    """1, 2, 5, 10, ... below the trained horizon, the trained horizon, and one and a half and two times it."""
    trained = trained_frames - 1
    below = [digit * 10**power for power in range(len(str(trained))) for digit in (1, 2, 5)]
    wanted = {*(horizon for horizon in below if horizon < trained), trained, 3 * trained // 2, 2 * trained}
    return sorted(horizon for horizon in wanted if horizon < frames)


def choose_modes(points: int) -> int:
    """Half of what the grid holds, which is half of its points; 8 at most, since weights grow with the square."""
    return max(1, min(MOST_MODES, points // 4))


def in_yaml(value: Any) -> str:
    """A value as YAML on one line, quoted where YAML would take text for something else."""
    return yaml.safe_dump([value], default_flow_style=True, width=float("inf"), sort_keys=False).strip()[1:-1]


def _block(section: dict[str, Any]) -> str:
    """A section as YAML, a key a line, as it stands inside another one."""
    text = yaml.safe_dump(section, default_flow_style=False, width=float("inf"), sort_keys=False, allow_unicode=True)
    return "".join(f"  {line}\n" for line in text.splitlines())
