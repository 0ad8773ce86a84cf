"""The Python that starts tests' jobs behaves as the one that it stands in for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from warm_python import WarmPython

JOB = """
import os, sys
sys.stderr.write("err")
print(sys.argv[1], os.getcwd(), os.environ["A_JOB_S_OWN"], "numpy" in sys.modules, "torch" in sys.modules)
exit(7 if sys.argv[1] == "fail" else None)
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory):
    python = WarmPython(tmp_path_factory.mktemp("warm"))
    yield python
    python.stop()


def shell(warm: WarmPython, folder: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
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


def test_other_numbers_of_threads_start_on_their_own(warm, tmp_path):
    (tmp_path / "run_stage.py").write_text(JOB)
    done = shell(warm, tmp_path, "python run_stage.py x", OMP_NUM_THREADS="2")
    assert done.stdout == f"x {tmp_path} told False False\n"


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
