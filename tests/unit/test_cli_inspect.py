from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from command_line import refused, run
from safetensors.torch import save_file

from weightcast import __version__
from weightcast.core.artifacts import load_artifact, save_artifact

ARCHITECTURE = {"kind": "fno", "width": 3, "channels": 2}


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    manifest = [
        {
            "environment": environment,
            "member": member,
            "seed": 10 * member,
            "diverged": environment == "b" and member == 1,
            "train_error": 0.1,
            "validation_error": None if environment == "b" and member == 1 else 0.2 + member,
            "seconds": 1.5,
            "data_digest": f"data-{environment}",
        }
        for environment in ("a", "b")
        for member in range(2)
    ]
    metadata = {
        "architecture": ARCHITECTURE,
        "condition": {
            "kind": "parameters",
            "scaling": {"names": ["beta", "Re"], "low": [0.5, 60], "high": [1.5, 340], "logarithmic": ["Re"]},
        },
        "base_digest": "abc",
        "manifest": manifest,
    }
    path = tmp_path / "zoo.safetensors"
    save_artifact(path, "zoo", {"weights": torch.arange(20.0).reshape(4, 5)}, metadata)
    return path


def lines(shown: str) -> dict[str, str]:
    return {line[:18].strip(): line[18:] for line in shown.splitlines()}


def test_zoo(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown, errors = run(capsys, "inspect", zoo)
    found = lines(shown)
    assert found["kind"] == "zoo"
    assert found["written by"] == f"weightcast {__version__}"
    assert found["digests"].startswith("verified: yes")
    assert found["digest"] == load_artifact(zoo).digest
    assert found["architecture"] == "channels 2, kind fno, width 3"
    assert found["environments"] == "2: a, b"
    assert found["visible range"] == "beta 0.5..1.5, Re 60..340 (its logarithm)"
    assert found["base digest"] == "abc"
    assert found["members"] == "4, of which 1 diverged"
    assert found["diverged"] == "b (1)"
    assert found["seed"].startswith("2 different")
    assert found["data digest"].startswith("2 different")
    assert found["validation error"] == "0.2 to 1.2, median 0.2"
    assert found["tensor"] == "weights  float32 [4, 5]"
    assert errors == ""


def test_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "base.safetensors"
    metadata = {
        "environments": list("abcdef"),
        "seed": 7,
        "settings": {"steps": 3},
        "config_digest": "settings-digest",
        "data_digest": "data-digest",
        "metrics": {"last_loss": 0.25},
    }
    save_artifact(path, "base", {"weights": torch.zeros(2)}, metadata)
    found = lines(run(capsys, "inspect", path)[0])
    assert found["environments"] == "6: a, b, c, d and 2 more"
    assert found["seed"] == "7"
    assert found["settings digest"] == "settings-digest"
    assert found["data digest"] == "data-digest"
    assert found["metrics"] == "last_loss 0.25"


def test_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "weights.safetensors"
    method = {
        "method": "erm",
        "seed": 0,
        "environments": ["a", "b"],
        "train_seconds": 2.0,
        "adapt_seconds": 0.0,
        "parameters": 1234,
    }
    save_artifact(path, "weights", {"erm.0": torch.zeros(2, 1, 5)}, {"methods": [method]})
    found = lines(run(capsys, "inspect", path)[0])
    assert found["method"] == "erm, seed 0: 2 environments, 1,234 numbers learned in 2.0 s"


def test_everything_as_json(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(run(capsys, "inspect", zoo, "--json")[0])
    assert shown["verified"] is True
    assert shown["metadata"] == load_artifact(zoo).metadata
    assert shown["tensors"] == {"weights": {"dtype": "float32", "shape": [4, 5]}}


# --- files that are no artifacts, or no longer


def test_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "inspect", tmp_path / "none.safetensors", words=("none.safetensors", "no such file"))
    refused(capsys, "inspect", tmp_path, words=(tmp_path, "no such file"))


def test_truncated_at_every_length(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = zoo.read_bytes()
    for length in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 81, len(whole) - 80, len(whole) - 1):
        zoo.write_bytes(whole[:length])
        refused(capsys, "inspect", zoo, words=(zoo, "truncated or damaged"))


def test_a_flipped_bit_is_noticed_wherever_it_is(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the header's length, in the header (metadata and tensors' names, types and shapes) and in the tensors."""
    whole = zoo.read_bytes()
    header = int.from_bytes(whole[:8], "little")
    padding = len(whole[8 : 8 + header]) - len(whole[8 : 8 + header].rstrip(b" "))
    places = [*range(0, 8 + header - padding, 5), *range(8 + header, len(whole), 7)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        zoo.write_bytes(damaged)
        refused(capsys, "inspect", zoo, words=(zoo,))


def test_bytes_at_the_end_are_noticed(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo.write_bytes(zoo.read_bytes() + b"\0")
    refused(capsys, "inspect", zoo, words=(zoo,))


def test_files_of_other_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"weights": torch.zeros(3)}, path)
    refused(capsys, "inspect", path, words=(path, "no 'weightcast' entry"))
    save_file({"weights": torch.zeros(3)}, path, metadata={"format": "pt"})
    refused(capsys, "inspect", path, words=(path, "no 'weightcast' entry"))
    for text in ("{}", "[]", "not JSON", '{"format": "new"}', "null"):
        save_file({"weights": torch.zeros(3)}, path, metadata={"weightcast": text})
        refused(capsys, "inspect", path, words=(path, "metadata"))
    torch.save({"weights": torch.zeros(3)}, path)
    refused(capsys, "inspect", path, words=(path, "not a readable safetensors file"))


def test_artifact_of_a_newer_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new.safetensors"
    metadata = {"format": 99, "kind": "zoo", "digest": "", "tensors_digest": ""}
    save_file({"weights": torch.zeros(3)}, path, metadata={"weightcast": json.dumps(metadata)})
    refused(capsys, "inspect", path, words=(path, "format", "found 99", "newer"))


def test_a_folder_is_answered_with_what_lies_in_it(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "inspect", zoo.parent, words=("found a folder", zoo.name))
