"""What a person sees of a run: few lines for a whole study, and of a failure its log's end and its command, once."""

from __future__ import annotations

import re

from checkout import copy_repository

TWO_SCREENS = 100
END = re.compile(r"^\[ *(\d+)/(\d+)\] (\w+)[^:]*: .*\((\d+) %")


def test_a_whole_study_is_read_at_a_glance(finished):
    lines = (finished.folder / "console.txt").read_text().splitlines()
    ends = [match for line in lines if (match := END.match(line))]
    total = int(ends[0][2])

    assert len(ends) < total and len(lines) < TWO_SCREENS  # on a busy machine, more jobs have a line for their start
    assert max(map(len, lines)) < 200
    assert not [line for line in lines if ".py" in line or "{" in line]  # no input files, no JSON
    assert [int(end[1]) for end in ends] == sorted(int(end[1]) for end in ends)
    assert {"train_erm", "train_vae", "write_report"} <= {end[3] for end in ends}
    assert re.fullmatch(rf"weightcast: {total} jobs done in .*", lines[-1])


def test_a_failure_shows_the_end_of_its_log_and_its_command_once(tmp_path):
    checkout = copy_repository(tmp_path)
    broken = tmp_path / "weightcast/systems/epidemic.py"
    broken.write_text(broken.read_text() + '\nraise RuntimeError("broken " + "on purpose")\n')
    done = checkout.snakemake("simulate", config="tests/workflow/mini-time.yaml", ok=False)

    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert said.count("RuntimeError: broken on purpose") == 1
    assert said.count("to repeat this job alone: python scripts/") == 1
    assert said.count("simulate_snapshots: FAILED after ") == 1
    assert len(re.findall(r"^weightcast: 1 job failed, \d of \d done, in ", said, re.M)) == 1
    assert len(said.splitlines()) < 25
    (command,) = re.findall(r"to repeat this job alone: (.*)", said)
    again = checkout.run("bash", "-c", command, ok=False)
    assert again.returncode == 1 and "RuntimeError: broken on purpose" in again.stderr


def test_a_wrong_configuration_is_one_line(tmp_path):
    checkout = copy_repository(tmp_path)
    checkout.edit("tests/workflow/mini-time.yaml", "seed: 1", "sead: 1")
    done = checkout.snakemake(config="tests/workflow/mini-time.yaml", ok=False)

    assert done.returncode == 1
    own = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("Using workflow specific")]
    assert len(own) == 1 and own[0].startswith("weightcast: error: ") and "sead" in own[0]
