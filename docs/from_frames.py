"""From a few frames of an environment that nobody can name to a forecast with its band, as a page that is run.

python docs/from_frames.py          from what the first command of the page makes (config/from-frames.yaml); writes the
                                    page docs/from-frames.md and its picture

The commands and the code on the page are those that were run, what stands below them is what they printed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from matplotlib.figure import Figure
from run_page import RunPage, printed

import weightcast
from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import read_environments
from weightcast.core.errors import InputError
from weightcast.core.plots.style import FAMILY_COLOURS, house_style
from weightcast.environments.config.load import load_study
from weightcast.environments.ensemble import EnsembleForecast

ROOT = Path(__file__).parents[1]
PAGE = "from-frames"
ENVIRONMENT = "beta_0.86-delta_0.65"
"""Whose frames are shown: unseen, inside the range."""
FRAMES, NOISE, STEPS = 11, 0.05, 20
STARTS = {"the last frame": (True, False), "the last frame, its noise told": (True, True), "all frames": (False, False)}
"""Of a forecast: whether from the last frame alone, and whether its noise is told."""


def observe(trajectories: xr.Dataset, noise: float, seed: int) -> xr.Dataset:
    """## The frames

    Any NetCDF file will do that has a variable for each channel with the dimensions `(trajectory, time, y, x)`, of
    which `trajectory` may be missing, and `y` and `x`, too, where a state has no grid. Write yours with xarray. Here a
    trajectory of an unseen environment stands in, of which eleven frames are seen, through noise of a twentieth of its
    standard deviation.
    """
    seen = trajectories[["prey", "predator"]].isel(trajectory=[-1], time=slice(0, FRAMES))
    random = np.random.default_rng(seed)
    return seen.map(lambda channel: channel + noise * float(channel.std()) * random.standard_normal(channel.shape))


def in_python(study: str, observed: xr.Dataset) -> EnsembleForecast:
    """## The same in Python

    Tensors are in physical units, `[trajectory, time, channel, y, x]`, NaN where nothing was observed.
    """
    context = weightcast.Context.load(study)
    frames = torch.tensor(np.stack([observed["prey"], observed["predator"]], axis=2), dtype=torch.float32)
    print(*context.verdict(frames).words(), sep="\n")
    return context.forecast(frames, steps=STEPS, n=64)


def draw(observed: xr.Dataset, forecast: xr.Dataset, truth: xr.Dataset) -> Figure:
    """Frames seen, the band of 90 and of 50 percent, the median, and what really happened."""
    with house_style():
        figure = Figure(figsize=(8, 4.2), layout="constrained")
        panels = figure.subplots(2, sharex=True)
        for axes, name in zip(panels, ("prey", "predator"), strict=True):
            low, lower, median, upper, high = forecast[f"{name}_quantile"].values.reshape(5, -1)
            made = FAMILY_COLOURS["generator"]
            axes.fill_between(forecast["time"], low, high, color=made, alpha=0.18, lw=0, label="90 %")
            axes.fill_between(forecast["time"], lower, upper, color=made, alpha=0.3, lw=0, label="50 %")
            axes.plot(forecast["time"], median, color=made, lw=1.5, label="forecast, median")
            axes.plot(truth["time"], truth[name].values.ravel(), color=FAMILY_COLOURS["reference"], lw=1, label="truth")
            axes.plot(
                observed["time"], observed[name].values.ravel(), "o", ms=3.5, color=FAMILY_COLOURS["baseline"],
                label="frames seen",
            )  # fmt: skip
            axes.set_ylabel(name)
        panels[0].legend(ncols=3, loc="upper right")
        panels[1].set_xlabel("time")
    return figure


def scores(context: weightcast.Context, study: Path, noise: float, start: str) -> str:
    """A row of the table of errors: medians and coverage over all unseen environments.

    Args:
        context: of the study.
        study: its folder.
        noise: on the frames.
        start: of the forecast, a key of `STARTS`.
    """
    errors: dict[str, list[float]] = {"interpolation": [], "extrapolation": []}
    held: dict[str, list[float]] = {"interpolation": [], "extrapolation": []}
    for environment in read_environments(study / "environments.csv").unseen:
        whole = _trajectories(study, environment.id)
        seen, truth = observe(whole, noise, seed=1), whole.isel(trajectory=[-1], time=slice(FRAMES, FRAMES + STEPS))
        frames, true = (
            torch.tensor(np.stack([part["prey"], part["predator"]], axis=2), dtype=torch.float32)
            for part in (seen, truth)
        )
        initial, told = STARTS[start]
        found = context.forecast(
            frames, frames[:, -1] if initial else None, steps=STEPS, initial_noise=noise if told else None
        )
        scale = torch.tensor(context.base.normalisation.scale)[:, None, None]
        errors[environment.role].append(float(((found.mean - true) / scale).square().mean().sqrt()))
        inside = (found.quantiles[0] <= true) & (true <= found.quantiles[-1])
        held[environment.role].append(float(inside.float().mean()))
    cells = [
        f"{np.median(errors[role]):.2g} | {np.mean(held[role]):.0%}" for role in ("interpolation", "extrapolation")
    ]
    return f"| {noise:.0%} | {start} | {' | '.join(cells)} |"


def _trained(study: Path) -> str:
    """What the training took, in a sentence; nothing where it is not known."""
    file = study / "benchmarks" / "base" / "context.tsv"
    if not file.is_file():
        return ""
    return f"The training of the context took {pd.read_csv(file, sep=chr(9))['cpu_time'].sum():.0f} s of one core."


def _trajectories(study: Path, environment: str) -> xr.Dataset:
    """What was simulated, with neither the name nor the parameters of the environment."""
    file = study.absolute().parents[1] / "data" / study.name / "trajectories" / f"{environment}.nc"
    if not file.is_file():
        raise InputError(f"{file}: no such file, expected trajectories of the study of config/from-frames.yaml")
    return xr.load_dataset(file, decode_times=False).drop_attrs(deep=False)


def _spoiled(page: RunPage, study: Path, observed: xr.Dataset) -> None:
    """Files with less in them, and with something wrong."""
    pictures = {
        "every-second.nc": observed.isel(time=slice(0, None, 2)),
        "prey-alone.nc": observed.assign(predator=observed["predator"].where(observed["time"] < 0.25)),
        "single.nc": observed.isel(time=[0]),
        "thousandths.nc": (observed * 1000.0).assign_coords(observed.coords),
        "backwards.nc": observed.assign({name: (part.dims, part.values[:, ::-1]) for name, part in observed.items()}),
        "visible.nc": observe(_trajectories(study, "beta_0.74-delta_0.80"), 0.0, seed=0),
    }
    for name, dataset in pictures.items():
        dataset.astype("float32").to_netcdf(page.work / name)
    page.say("""
        ## Less, other, wrong

        Every second time alone, the predator seen once and then never again, a single frame:
    """)
    for name in ("every-second", "prey-alone", "single"):
        page.command(f"weightcast generate results/from-frames --frames {name}.nc -o other.safetensors")
    page.say("""
        A visible environment is recognised, and frames that fit nothing (here the same ones, backwards in time) are
        said to:
    """)
    for name in ("visible", "backwards"):
        page.command(f"weightcast generate results/from-frames --frames {name}.nc -o other.safetensors")
    page.say("What cannot be used is one line that says why, and nothing is written:")
    page.command("weightcast generate results/from-frames --frames thousandths.nc -o other.safetensors")


def write_page(page: RunPage, study: Path) -> None:
    """Run the sections in order."""
    page.say("""
        # From a few frames to a forecast

        You have frames of a river, a patient, a machine, and nobody knows its parameters. A study has seen others of
        its kind. This page goes from a NetCDF file to a forecast with its band; commands, numbers and picture are made
        by `python docs/from_frames.py` (163 s of one core), from the study of
        [config/from-frames.yaml](../config/from-frames.yaml): a predator and its prey, whose section `context` makes it
        learn a code for each visible environment, and no
        parameters. All that this page needs of it - trajectories, which are simulated, and the context - is made by

        ```
        snakemake simulate results/from-frames/base/context.safetensors results/from-frames/config.yaml \\
          results/from-frames/environments.csv --cores 1 --configfile config/from-frames.yaml
        ```

        TRAINED Your own study: [own-data.md](own-data.md), with a section `context`
        ([its keys](configuration.md#context)).
    """)
    page.parts[-1] = page.parts[-1].replace("TRAINED", _trained(study))
    whole = _trajectories(study, ENVIRONMENT)
    page.show(observe)
    observed = observe(whole, NOISE, seed=0)
    observed.astype("float32").to_netcdf(page.work / "observed.nc")
    page.say("""
        Time may be every k-th step of the study's, `y` and `x` every k-th point of its grid (where k divides it),
        values that were not observed NaN, trajectories several.

        ## The predictors
    """)
    page.command("weightcast generate results/from-frames --frames observed.nc -n 64 -o ensemble.safetensors")
    page.say("""
        64 candidates, complete networks, drawn from what the frames leave possible. Each has a weight in the file: the
        likelihood of the frames, tempered as left-out visible environments asked for, times the prior, over the density
        that it was drawn with. `--keep 8` keeps the eight most probable; for a band keep all. Residuals are in standard
        deviations of the study's data.

        ## The forecast
    """)
    page.command(
        f"weightcast forecast ensemble.safetensors --initial observed.nc --smooth --steps {STEPS} -o forecast.nc"
    )
    forecast = xr.load_dataset(page.work / "forecast.nc", decode_times=False)
    truth = whole.isel(trajectory=[-1], time=slice(0, FRAMES + STEPS))
    page.draw("forecast", draw(observed, forecast, truth), "Frames seen, forecast with its band, and truth")
    page.say("""
        `--smooth` starts the forecast from what all frames say of the last one (`--frame` chooses another), each as the
        predictors forecast it: where frames are noisy, one alone is a poor start. Without it a forecast starts from
        that frame as it is, and from what gaps in it may hold. Its noise is yours to say (`--initial-noise`, in
        standard deviations of the study), or the band holds what the frames leave open of the environment, and what the
        calibration found to be the network's own error, and not that the start is uncertain. `forecast.nc` has each
        member (`prey`), the weighted mean (`prey_mean`) and the 5, 25, 50, 75 and 95 % quantiles (`prey_quantile`);
        `--no-members` leaves the members out. These networks are rates of change (`predictor.integrator: rk4`), so that
        any times can be asked for:
    """)
    page.command(
        "weightcast forecast ensemble.safetensors --initial observed.nc --times 0:10:0.1 --no-members -o fine.nc"
    )
    page.say(f"""
        These three commands took {", ".join(f"{seconds:.1f}" for seconds in page.seconds)} s of one core, the start of
        Python not counted.
    """)
    page.show(in_python)
    page.parts.append(f"```\n{printed(lambda: in_python(str(study), observed))}\n```")
    page.say("""
        What it returns has `members`, `mean` and `quantiles`. `context.predictors(frames, n=8)` gives torch modules,
        and so does `weightcast.Generator.load("results/from-frames").sample(frames=frames, n=8)`;
        `context.infer(frames)` is the posterior of the code.
    """)
    _spoiled(page, study, observed)
    context = weightcast.Context.load(study)
    page.say(f"""
        ## How far to believe it

        All unseen environments of this study, {FRAMES} frames of one trajectory seen, the {STEPS} that follow forecast
        where they end: error of the mean over the study's standard deviation (median over environments), and how much
        of the truth lies inside the 90 % band (mean). The second column is what a forecast starts from: `--smooth`
        takes all frames, `--initial-noise` tells the noise of the last one.

        | noise on the frames | starts from | inside the range: error | in the band | outside: error | in the band |
        |---|---|---|---|---|---|
    """)
    shown = ((0.0, "the last frame"), *((noise, start) for noise in (0.01, NOISE) for start in STARTS))
    page.parts[-1] += "\n" + "\n".join(scores(context, study, *one) for one in shown)
    page.say("""
        One study of one trajectory each, so these are checks of this page and no benchmark. They say what to reckon
        with. From exact frames the forecast is off by a few thousandths, and its band holds all of it: rather too wide.
        From noisy frames a band that starts from the last frame as it is forgets the start's noise, and at 5 % holds
        too little. Told of it, it holds everything, but the mean over such starts is five to eight times as far off.
        From all frames the forecast is as near as from the last one as it is, and the band holds about what it says.
    """)
    page.write()


@exit_on_input_error()
def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results" / PAGE, help="the study; default: from-frames")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="folder; default: docs")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)  # the same numbers everywhere
    study = load_study(chosen.results / "config.yaml")
    if study.data.channels != ["prey", "predator"] or study.context is None:
        raise InputError(f"{chosen.results}: found another study, expected that of config/from-frames.yaml")
    with tempfile.TemporaryDirectory() as work:
        named = {str(chosen.results.resolve()): f"results/{PAGE}"}
        write_page(RunPage(PAGE, chosen.output, Path(work), named), chosen.results)


if __name__ == "__main__":
    main()
