"""Studies whose predictors see two frames: every stage, the commands, and the class for programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from command_line import refused, run
from driven_study import driven_chain
from tiny_chain import Chain, observe_between, study_with_context, tiny_plan

from weightcast.core.errors import InputError
from weightcast.environments.commands.untrained import untrained_predictor
from weightcast.environments.dataset import Normalisation
from weightcast.environments.model import load_models
from weightcast.environments.public import Context
from weightcast.environments.study_sizes import StudySizes

HISTORY = {"data": {"history": 2, "frames": 8}, "evaluation": {"horizons": [1, 4, 7]}}
"""Of the tiny study, whose files hold nine frames."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a trained context, without inputs."""
    folder = tmp_path_factory.mktemp("history")

    def change(config: dict) -> None:
        config["baselines"]["in_context"] = None
        for section, keys in HISTORY.items():
            config[section] |= keys

    chain = Chain(tiny_plan(folder, change), folder)
    return study_with_context(chain, folder)


@pytest.fixture
def observed(results: Path, tmp_path: Path) -> Path:
    """A trajectory of an unseen environment: its first five frames; and its first two and its first alone."""
    for count, name in ((2, "two"), (1, "one")):
        observe_between(results, tmp_path / f"{name}.nc", count)
    return observe_between(results, tmp_path / "observed.nc")


@pytest.fixture
def model(results: Path, observed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    run(capsys, "generate", results, "--frames", observed, "-n", 3, "-o", tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def frames_of(file: Path) -> torch.Tensor:
    """[trajectory, frame, channel, y, x]."""
    seen = xr.load_dataset(file, decode_times=False)
    return torch.tensor(np.stack([seen[name] for name in ("u", "v")], axis=2))


def test_a_forecast_goes_on_from_the_last_frames_of_a_file(
    model: Path, observed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models, artifact = load_models(model)
    assert artifact.metadata["architecture"]["history"] == models[0].history == 2
    normalisation = Normalisation.from_metadata(artifact.metadata["normalisation"])
    assert len(normalisation.mean) == 4 and normalisation.mean[:2] == normalisation.mean[2:]
    frames = frames_of(observed)
    for options, last in (((), 5), (("--frame", 2), 3)):
        output = tmp_path / f"forecast-{last}.nc"
        run(capsys, "forecast", model, "--initial", observed, *options, "--steps", 3, "-o", output)
        found = xr.load_dataset(output, decode_times=False)
        for sample, predictor in enumerate(models):
            state, expected = frames[:, last - 2 : last], []
            for _ in range(3):
                seen = torch.cat([state[:, 1], state[:, 0]], 1)  # newest first
                following = predictor(seen)
                state = torch.stack([state[:, 1], following], 1)
                expected.append(following)
            rolled = torch.stack(expected, 1)
            np.testing.assert_allclose(found["u"][sample], rolled[:, :, 0], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(predictor.rollout(frames[:, last - 2 : last], 3), rolled, rtol=1e-4, atol=1e-5)
    run(capsys, "forecast", model, "--initial", observed, "--smooth", "--steps", 2, "-o", tmp_path / "smooth.nc")


def test_files_of_too_few_frames_end_in_one_line(
    results: Path, model: Path, observed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "none.nc"
    words = ("two.nc: time: found 2 frames, expected 3 or more", "data.history")
    refused(capsys, "generate", results, "--frames", tmp_path / "two.nc", "-o", output, words=words, output=output)
    command = ("forecast", model, "--steps", 2, "-o", output, "--initial")
    words = ("one.nc: time: found 1 frame up to the initial one, expected 2",)
    refused(capsys, *command, tmp_path / "one.nc", words=words, output=output)
    refused(capsys, *command, observed, "--frame", 0, words=("observed.nc", "found 1 frame up to"), output=output)
    with xr.open_dataset(observed, decode_times=False) as whole:
        apart, gappy = whole.load().isel(time=[0, 1, 2, 4]), whole.load().copy(deep=True)
    apart.to_netcdf(tmp_path / "apart.nc")
    gappy["u"][0, 3] = np.nan
    gappy.to_netcdf(tmp_path / "gappy.nc")
    refused(capsys, *command, tmp_path / "apart.nc", words=("apart.nc", "found frames 1 apart"), output=output)
    said, _ = run(capsys, *command, tmp_path / "gappy.nc", "--frame", 3)
    assert "of the values to start from are missing" in said and output.is_file()


def test_the_class_for_programs_takes_frames_in_the_order_of_time(results: Path, model: Path, observed: Path) -> None:
    context, frames = Context.load(results), frames_of(observed)
    for made, own in zip(context.predictors(frames, 3), load_models(model)[0], strict=True):
        for name, weight in made.state_dict().items():
            torch.testing.assert_close(weight, own.state_dict()[name])
    found = context.forecast(frames, steps=4, n=2, initial_noise=0.0)
    assert found.members.shape == (2, 1, 4, 2, *frames.shape[3:])
    given = context.forecast(frames, initial=frames[:, -2:], steps=4, n=2)
    torch.testing.assert_close(found.members, given.members, rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match="frames: found 2, expected 3 or more"):
        context.infer(frames[:, :2])
    with pytest.raises(InputError, match=r"expected finite numbers \[trajectory, frame, channel, y, x\]"):
        context.forecast(frames, initial=frames[0, -1], steps=2)


def test_a_study_of_two_frames_with_inputs_goes_the_whole_way(tmp_path: Path) -> None:
    chain = driven_chain(tmp_path, **HISTORY)
    sizes, predictor = StudySizes.of(chain.plan), untrained_predictor(chain.plan.study)
    assert (sizes.weights, sizes.frame) == (predictor.graph.num_parameters, (2 * 2 + 4) * 6 * 8)
    chain.train()
    tables = chain.finish()
    shown = tables.pop("show_rollouts")
    for name, table in tables.items():
        if "value" in table:
            assert np.isfinite(table.value).all(), name
    found = set().union(*(set(table.method) for table in tables.values() if "method" in table))
    assert {"erm", "film", "generator-paper", "context-ensemble", "finetune-erm-observed", "persistence"} <= found
    assert list(shown.data_vars) == ["u", "v"] and shown.sizes["time"] == 7
