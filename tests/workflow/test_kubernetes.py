"""profiles/kubernetes: a dry run, and jobs in pods that are pretended on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr
import yaml
from checkout import REPOSITORY, Checkout, copy_repository
from pretended_kubernetes import pretended_kubernetes

pytest.importorskip("snakemake_executor_plugin_kubernetes", reason="needs the extra kubernetes")
pytest.importorskip("snakemake_storage_plugin_fs", reason="needs the extra kubernetes")

PROFILE = yaml.safe_load((REPOSITORY / "profiles/kubernetes/config.yaml").read_text())
MANIFESTS = list(yaml.safe_load_all((REPOSITORY / "profiles/kubernetes/run.yaml").read_text()))


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """What pods share: a study, and its table below data."""
    folder = tmp_path / "volume"
    (folder / "data").mkdir(parents=True)
    (folder / "results").mkdir()
    shutil.copy(REPOSITORY / "tests/workflow/mini-ode.csv", folder / "data")
    study = yaml.safe_load((REPOSITORY / "tests/slurm/mini-slurm.yaml").read_text())
    (folder / "my.yaml").write_text(yaml.safe_dump(study | {"environments": "data/mini-ode.csv"}))
    return folder


def run(checkout: Checkout, volume: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``weightcast run`` as the pod of run.yaml says it, where the volume lies elsewhere."""
    profile = str(checkout.folder / "profiles/kubernetes")
    command = [sys.executable, "-m", "weightcast.cli.main", "run", "my.yaml", *arguments, "--workflow-profile", profile]
    command += ["--kubernetes-persistent-volumes", f"weightcast:{volume}", "--seconds-between-status-checks", "1"]
    command += ["--precommand", PROFILE["precommand"].replace("/weightcast", str(volume)), "--latency-wait", "5"]
    command += ["--default-storage-prefix", PROFILE["default-storage-prefix"].replace("/weightcast", str(volume))]
    return subprocess.run(
        command, cwd=volume, env=checkout.environment | environment, capture_output=True, text=True, check=False
    )


def test_a_dry_run_plans_all_jobs(volume: Path, tmp_path: Path) -> None:
    checkout = copy_repository(tmp_path / "image")
    done = run(checkout, volume, "-n", "--quiet", "rules")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^train_experts +2$", done.stdout + done.stderr, re.M)


@pytest.mark.skipif(shutil.which("rsync") is None, reason="needs rsync, by which Snakemake moves its own files")
def test_pods_find_data_and_results_on_their_volume(volume: Path, tmp_path: Path) -> None:
    checkout = copy_repository(tmp_path / "image")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "pip").write_text("#!/bin/sh\n")  # the image brings what every pod is told to install
    (tools / "pip").chmod(0o755)
    of_pods = checkout.environment | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    with pretended_kubernetes(tmp_path, of_pods) as (cluster, config):
        done = run(checkout, volume, "train_conditioned", KUBECONFIG=str(config))
        assert done.returncode == 0, done.stdout + done.stderr + cluster.logs()
    assert (volume / "results/mini-slurm/base/conditioned.safetensors").is_file()
    (trajectories,) = (volume / "data/mini-slurm/trajectories").rglob("*.nc")
    with xr.open_dataset(trajectories) as visible:
        assert visible.sizes["environment"] == 3
    assert len(cluster.asked) == 2
    for job in cluster.asked:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["image"] == PROFILE["container-image"]
        assert {"name": "weightcast", "mountPath": str(volume)} in container["volumeMounts"]
        assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"] == "1000M"


def test_manifests_and_profile_are_of_the_same_image_volume_and_folder() -> None:
    claim = next(part for part in MANIFESTS if part["kind"] == "PersistentVolumeClaim")
    pod = next(part for part in MANIFESTS if part["kind"] == "Job")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == PROFILE["container-image"]
    assert PROFILE["kubernetes-persistent-volumes"] == [f"{claim['metadata']['name']}:{container['workingDir']}"]
    assert pod["serviceAccountName"] in {
        part["metadata"]["name"] for part in MANIFESTS if part["kind"] == "ServiceAccount"
    }


def test_the_image_is_made_of_what_there_is() -> None:
    text = (REPOSITORY / "envs/Containerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (.+) \S+$", text, re.M) for word in line.split()]
    missing = [name for name in copied if not (REPOSITORY / name).exists()]
    assert copied and not missing
    extras = re.search(r"WEIGHTCAST_EXTRAS=([\w,-]+)", text)
    known = (REPOSITORY / "pyproject.toml").read_text()
    assert extras and all(re.search(rf"^{name} = \[", known, re.M) for name in extras[1].split(","))
