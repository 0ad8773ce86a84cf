"""The Python that starts tests' jobs behaves as the one that it stands in for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm_python import Client, WarmPython

JOB = """
import os, sys
sys.stderr.write("err")
print(sys.argv[1], os.getcwd(), os.environ["A_JOB_S_OWN"], "numpy" in sys.modules, "torch" in sys.modules)
exit(7 if sys.argv[1] == "fail" else None)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmPython]:
    python = WarmPython(tmp_path_factory.mktemp("warm"))
    yield python
    python.stop()


@pytest.fixture(scope="module")
def warm(server: WarmPython, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return server.client(tmp_path_factory.mktemp("client"))


def shell(warm: Client, folder: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    told = os.environ | threads | {"A_JOB_S_OWN": "told"} | warm.environment | environment
    return subprocess.run(["bash", "-c", command], cwd=folder, env=told, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("argument, code", [("succeed", 0), ("fail", 7)])
def test_a_job_has_its_arguments_folder_environment_output_and_status(warm, tmp_path, argument, code):
    (tmp_path / "run_stage.py").write_text(JOB)
    done = shell(warm, tmp_path, f"python run_stage.py {argument}")
    assert done.returncode == code
    assert done.stdout == f"{argument} {tmp_path} told True True\n"
    assert done.stderr == "err"


def test_an_error_is_said_as_the_interpreter_says_it(warm, tmp_path):
    (tmp_path / "run_stage.py").write_text("raise ValueError('found 3')")
    done = shell(warm, tmp_path, "python run_stage.py x")
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: found 3\n")


def test_snakemake_needs_no_import_of_its_own(warm, tmp_path):
    (tmp_path / "Snakefile").write_text(
        'import sys\nprint("torch" in sys.modules, *sys.argv[1:], file=sys.stderr)\n'
        'rule made:\n    output: "made.txt"\n    shell: "echo made > {output}"\n'
    )
    told = os.environ | warm.environment
    command = [warm.python, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
    done = subprocess.run(command, cwd=tmp_path, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made.txt").read_text() == "made\n"
    assert "True --cores 1 --quiet all" in done.stderr
    missing = subprocess.run(
        [*command, "--", "nothing"], cwd=tmp_path, env=told, capture_output=True, text=True, check=False
    )
    assert missing.returncode == 1


def test_other_numbers_of_threads_start_on_their_own(warm, tmp_path):
    (tmp_path / "run_stage.py").write_text(JOB)
    done = shell(warm, tmp_path, "python run_stage.py x", OMP_NUM_THREADS="2")
    assert done.stdout == f"x {tmp_path} told False False\n"


def test_the_first_job_of_a_stage_may_start_on_its_own(server, tmp_path):
    (tmp_path / "run_stage.py").write_text(JOB)
    alone, jobs = (
        server.client(tmp_path, first_alone=True),
        ('{"stage": "a", "n": 1}', '{"stage": "a"}', '{"stage": "b"}'),
    )
    said = [shell(alone, tmp_path, f"python run_stage.py '{job}'").stdout for job in jobs]
    assert [line.rsplit(" told ")[1] for line in said] == ["False False\n", "True True\n", "False False\n"]


def test_another_program_is_the_real_python(warm, tmp_path):
    done = shell(warm, tmp_path, "python -c 'import sys; print(sys.version, *sys.argv[1:])' a b")
    assert done.stdout == f"{sys.version} a b\n"


def test_a_job_ends_with_the_process_that_waits_for_it(warm, tmp_path):
    (tmp_path / "run_stage.py").write_text(
        "import os, pathlib, time\npathlib.Path('began').write_text(str(os.getpid()))\ntime.sleep(60)"
    )
    began = tmp_path / "began"
    assert shell(warm, tmp_path, "timeout 5 bash -c 'python run_stage.py x'").returncode == 124
    job = int(began.read_text())
    for _ in range(100):
        if not Path(f"/proc/{job}").exists():
            return
        time.sleep(0.05)
    pytest.fail("the job still runs")
