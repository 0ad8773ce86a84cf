"""Runs one job of the pipeline: reads what it is told and its inputs, calls the stage, writes the outputs.

``python scripts/run_stage.py '<job as JSON>'``, or the path of a file that holds the job. The pipeline prints the
command of every job that fails; it can be copied, changed and run by hand, under a debugger too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from weightcast.core.config.device import DEVICE_PATTERN
from weightcast.core.errors import InputError
from weightcast.core.files import remove_partials_of
from weightcast.core.job import Job, StageSettings, read_job
from weightcast.core.processes import Processes
from weightcast.core.run import Run
from weightcast.studies import load_plan, stages_of


def run_job(argument: str, device: str | None = None, processes: Processes | None = None) -> None:
    """Run a job, or this process's part in it.

    Args:
        argument: JSON, or the path of a file.
        device: replaces the study's.
        processes: that run the job together, each of which calls this; this one alone if None.

    Raises:
        InputError: the job, its settings or its inputs cannot be used.
    """
    job = read_job(argument)
    if device is not None:  # asked for now and here: refused now, also by a stage that would never look
        from weightcast.core.device import choose_device

        choose_device(device, "--device")
    settings, execution = _settings(job)
    processes = processes or Processes()
    _check_processes(job, settings, processes.count)
    stage = find_stage(job.stage)
    name = _device(job, execution, device)
    if re.fullmatch(DEVICE_PATTERN, name) is None:  # whether it is there, is asked when something is to be placed there
        raise InputError(f"device: found {name!r}, expected auto, cpu, cuda or cuda:<number>")
    run = Run(
        name,
        execution.get("acceleration"),
        memory=execution.get("memory"),
        state=None if job.state is None else Path(job.state),
        identity=partial(stage.key, settings, job.inputs),
        outputs={name: Path(path) for name, path in job.outputs.items()},
        processes=processes,
    )
    if not processes.alone:
        processes.meet(run.device)
    if processes.leads:
        for output in run.outputs.values():
            remove_partials_of(output)
    made = stage(run, settings, **stage.load(job.inputs))
    if processes.leads:
        _save(made, run.outputs, job.stage)
        run.finish()
    processes.leave()


def count_processes(argument: str, wanted: int | Literal["auto"], device: str | None = None) -> int:
    """How many processes are to run a job together.

    Args:
        argument: JSON, or the path of a file.
        wanted: so many; ``auto``: one for each GPU that the job may use, as far as its stage can be shared.
        device: replaces the study's.

    Raises:
        InputError: the job or its settings cannot be used, or it cannot be shared by so many.
    """
    if wanted == 1:
        return 1
    job = read_job(argument)
    settings, execution = _settings(job)
    if wanted == "auto":
        from weightcast.core.device import gpus_of

        return max(1, min(settings.most_processes, gpus_of(_device(job, execution, device))))
    _check_processes(job, settings, wanted)
    return wanted


def _device(job: Job, execution: Mapping[str, Any], device: str | None) -> str:
    return str(device or job.device or execution.get("device", "cpu"))


def _check_processes(job: Job, settings: StageSettings, count: int) -> None:
    most = settings.most_processes
    if count > most:
        why = "this stage cannot be shared" if most == 1 else f"a step of its training has {most} rows to share"
        raise InputError(f"job {job.stage}: --processes: found {count}, expected at most {most}: {why}")


def find_stage(name: str) -> Any:
    """The stage of a name, from the module of its name.

    Raises:
        InputError: there is none.
    """
    for package, jobs in stages_of().items():
        if name in jobs:
            return getattr(import_module(f"{package}.{name}"), name)
    known = ", ".join(name for jobs in stages_of().values() for name in jobs)
    raise InputError(f"job: stage: found {name!r}, expected one of {known}")


def _settings(job: Job) -> tuple[StageSettings, dict[str, Any]]:
    """A job's settings, and where and how it computes (``device``, ``acceleration``, ``memory``), which no result
    depends on."""
    kind = next((jobs[job.stage] for jobs in stages_of().values() if job.stage in jobs), None)
    if kind is None:
        find_stage(job.stage)  # says which there are
    assert kind is not None
    if job.settings is not None:
        from pydantic import ValidationError

        from weightcast.core.config.messages import first_line

        try:
            return kind.model_validate(job.settings), {}
        except ValidationError as error:
            raise InputError(first_line(error, f"job {job.stage}", kind, "settings.")) from None
    assert job.config is not None
    plan = load_plan(Path(job.config))
    try:
        settings = kind.of(plan, **job.of)  # type: ignore[attr-defined]
    except TypeError as error:
        raise InputError(f"job {job.stage}: of: {error}") from None
    if job.settings_digest is not None and not settings.digest.startswith(job.settings_digest):
        raise InputError(
            f"{job.config}: what it says for {job.stage} is not what the job was planned with: found "
            f"{settings.digest[:12]}, expected {job.settings_digest}: was the study run with another configuration "
            "meanwhile? Run it again"
        )
    study = plan.study
    execution = {name: getattr(study, name, None) for name in ("device", "acceleration", "memory")}
    return settings, execution


def _save(made: Any, outputs: Mapping[str, Path], stage: str) -> None:
    """Write what a stage returned; nothing where it wrote its outputs itself."""
    if made is None:
        return
    named = made if isinstance(made, dict) else {"output": made}
    if set(named) != set(outputs):
        found, expected = ", ".join(sorted(outputs)), ", ".join(sorted(named))
        raise InputError(f"job {stage}: outputs: found {found}, expected {expected}")
    for name, value in named.items():
        value.save(outputs[name])
