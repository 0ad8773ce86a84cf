"""Profiles of clusters: what Snakemake's executor for SLURM makes of them, without a SLURM."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())


class Resources(dict[str, object]):
    """As a job has them: by key and by attribute."""

    def __getattr__(self, name: str) -> object:
        return self[name]


def job(**resources: object) -> SimpleNamespace:
    return SimpleNamespace(resources=Resources(resources), threads=1, name="train_experts", is_group=lambda: False)


@pytest.mark.parametrize(
    ("asked", "partition"),
    [
        ({"mem_mb": 4800, "runtime": 60, "gpu": 0}, "cpu"),
        ({"mem_mb": 4800, "runtime": 3000, "gpu": 0}, "long"),
        ({"mem_mb": 4800, "runtime": 60, "gpu": 1}, "gpu"),
    ],
)
def test_jobs_go_where_they_fit_and_without_a_gpu_not_to_one(asked: dict[str, int], partition: str) -> None:
    partitions = pytest.importorskip("snakemake_executor_plugin_slurm.partitions", reason="needs the extra slurm")
    known = partitions.read_partition_file(ROOT / "profiles/slurm/partitions.yaml")
    assert partitions.get_best_partition(known, job(**asked), logging.getLogger("test")) == partition


def test_sbatch_is_told_to_ask_jobs_to_end_beforehand_and_to_put_preempted_ones_back() -> None:
    submit = pytest.importorskip("snakemake_executor_plugin_slurm.submit_string", reason="needs the extra slurm")
    validation = pytest.importorskip("snakemake_executor_plugin_slurm.validation", reason="needs the extra slurm")
    extra = PROFILE["default-resources"]["slurm_extra"].strip("'")
    asked = job(mem_mb=1000, runtime=10, gpu=0, slurm_extra=extra)
    validation.validate_slurm_extra(asked)
    settings = SimpleNamespace(requeue=PROFILE["slurm-requeue"], no_requeue=False, qos=None, reservation=None)
    told = dict.fromkeys(("run_uuid", "slurm_logfile", "comment_str", "account", "partition", "workdir"), "x")
    command = submit.get_submit_command(asked, told, settings=settings)
    assert "--signal=TERM@120" in command and "--requeue" in command and "-t 10 " in command


def test_profiles_come_with_the_package() -> None:
    shared = (ROOT / "pyproject.toml").read_text()
    for profile in sorted((ROOT / "profiles").iterdir()):
        assert f'"share/weightcast/profiles/{profile.name}"' in shared
