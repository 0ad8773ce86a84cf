"""What a run of a study will cost, as ``weightcast check`` says it."""

from __future__ import annotations

import os

from weightcast.cost.forecast import Forecast
from weightcast.cost.measure import Work

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
IN_HOURS = 10 * HOUR
"""From which sum on costs are stated in hours."""
A100_FLOAT32 = 19.5
"""TFLOP/s; the peak of an NVIDIA A100 in float32 without tensor cores, from its data sheet."""
SUSTAINED_SHARE = 0.3
"""Of the peak that trainings reach: large language models report 0.21 to 0.46 (model FLOPs utilisation of GPT-3,
Gopher, Megatron-Turing NLG and PaLM; Chowdhery et al., PaLM, arXiv 2204.02311, table 3)."""


def describe_cost(forecast: Forecast, gpu_rate: float | None = None, gpu: bool = True) -> dict[str, list[str]]:
    """What a run takes, subject by subject.

    Args:
        forecast: of the study.
        gpu_rate: that a GPU sustains, in TFLOP/s; None: a share of an A100's peak.
        gpu: whether a GPU is to be spoken of.
    """
    subjects = {"jobs": [f"{len(forecast.jobs)} in a complete run"], "cost": cost_lines(forecast)}
    if gpu and (lines := gpu_lines(forecast, gpu_rate)):
        subjects["on a GPU"] = lines
    return subjects


def cost_lines(forecast: Forecast, cores: int | None = None) -> list[str]:
    """The sum, what it comes to on this machine's cores, and each stage; largest first."""
    cores = cores or len(os.sched_getaffinity(0))
    total = forecast.seconds
    unit = MINUTE if total < IN_HOURS else HOUR
    if unit == MINUTE:
        lines = [f"about {number(total / MINUTE).strip()} core-minutes on this machine"]
    else:
        days = number(total / DAY).strip()
        lines = [f"about {number(total / HOUR).strip()} core-hours ({days} days of a core) on this machine"]
    word = "minutes" if unit == MINUTE else "hours"
    on_cores = number(forecast.on_cores(cores) / unit).strip()
    chain = number(forecast.longest_chain / unit).strip()
    lines.append(f"at least {on_cores} {word} on {cores} cores; the longest chain of jobs takes {chain}")
    if not all(forecast.left):
        left = number(forecast.seconds_left / unit).strip()
        lines.append(f"of which {left} core-{word} are left to do, by {sum(forecast.left)} jobs")
    if forecast.known:
        lines.append(f"what {forecast.known} jobs took is known from earlier runs")
    by_work = sorted(forecast.stages().items(), key=lambda stage: -stage[1][1].seconds)
    lines += [f"{number(work.seconds / unit)} {stage} ({_jobs(count)})" for stage, (count, work) in by_work]
    lines += [f"note: not forecast but for their start: {reason}" for reason in forecast.failed]
    return lines


def gpu_lines(forecast: Forecast, rate: float | None = None) -> list[str]:
    """The trainings' operations as hours of a GPU; none for a small study, if no rate is asked for."""
    whole = sum(forecast.work, Work())
    if (rate is None and whole.seconds < IN_HOURS) or not whole.operations:
        return []
    source = "--gpu-rate"
    if rate is None:
        rate = SUSTAINED_SHARE * A100_FLOAT32
        source = f"{100 * SUSTAINED_SHARE:.0f} % of an NVIDIA A100's {A100_FLOAT32:g} in float32"
    hours = number(whole.operations / (rate * 1e12) / HOUR).strip()
    rest = number((whole.seconds - whole.counted) / HOUR).strip()
    return [
        f"about {hours} GPU-hours of training: a projection, not a measurement",
        f"= {whole.operations:.2g} floating-point operations at {rate:.3g} TFLOP/s, assumed: {source}",
        f"for comparison, the core measured above did them at {whole.operations / whole.counted / 1e12:.2g} TFLOP/s",
        f"without the rest: {rest} core-hours of simulation, generation, evaluation and starting",
        "trainings run on a GPU where there is one (device: auto), and where the configuration says so (device: cuda)",
    ]


def number(value: float) -> str:
    """A number with a digit after the point where it is small, in a column of six."""
    return f"{value:6,.0f}" if value >= 10 else f"{value:6.1f}"


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"
