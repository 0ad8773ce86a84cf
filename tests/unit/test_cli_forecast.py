from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from command_line import refused, run
from tiny_study import random_trajectories, write_results

from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.environments.model import load_models
from weightcast.trajectories import write_trajectories


@pytest.fixture
def model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "model.safetensors"
    run(capsys, "generate", write_results(tmp_path), "--environment", "beta=1.1", "-n", 2, "-o", path)
    return path


@pytest.fixture
def initial(tmp_path: Path) -> Path:
    """3 trajectories of 4 frames, times 0 to 1.5."""
    path = tmp_path / "frames.nc"
    write_trajectories(path, random_trajectories("somewhere", 1.1, trajectories=3, frames=4))
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "forecast.nc"


def forecast(model: Path, initial: Path, output: Path, steps: int = 5) -> list[object]:
    return ["forecast", model, "--initial", initial, "--steps", steps, "-o", output]


def test_forecast(model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown, errors = run(capsys, *forecast(model, initial, output))
    assert "sample 2, trajectory 3, time 5, y 6, x 8" in shown
    assert errors == ""
    found, given = xr.load_dataset(output, decode_times=False), xr.load_dataset(initial, decode_times=False)
    models, artifact = load_models(model)
    start = torch.from_numpy(np.stack([given["u"][:, -1], given["v"][:, -1]], axis=1))
    for sample, predictor in enumerate(models):
        expected = predictor.rollout(start, 5)  # type: ignore[operator]
        for channel, name in enumerate("uv"):
            assert found[name].dims == ("sample", "trajectory", "time", "y", "x")
            assert found[name].dtype == np.float32
            assert found[name].attrs["units"] == "m s-1"
            np.testing.assert_array_equal(found[name][sample], expected[:, :, channel])
    np.testing.assert_allclose(found["time"], 1.5 + 0.5 * np.arange(1, 6))
    assert found["time"].attrs["units"] == "s"
    for name in "yx":
        np.testing.assert_array_equal(found[name], given[name])
    assert found.attrs["beta"] == 1.1
    assert found.attrs["model_digest"] == artifact.digest
    assert found.attrs["generator_digest"] == artifact.metadata["generator_digest"]
    assert found.attrs["initial_frames"] == "frames.nc"


def test_another_frame_to_start_from(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, *forecast(model, initial, output), "--frame", 1)
    from_frame = xr.load_dataset(output, decode_times=False)
    np.testing.assert_allclose(from_frame["time"], 0.5 + 0.5 * np.arange(1, 6))
    only = xr.load_dataset(initial, decode_times=False).isel(time=[1])
    only.to_netcdf(initial.with_name("only.nc"))
    run(capsys, *forecast(model, initial.with_name("only.nc"), output))
    xr.testing.assert_equal(from_frame, xr.load_dataset(output, decode_times=False))


@pytest.mark.parametrize("dropped", [{"time": -1}, {"trajectory": 0}, {"time": -1, "trajectory": 0}])
def test_single_frames_and_trajectories(
    dropped: dict[str, int], model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = xr.load_dataset(initial, decode_times=False)
    given.isel(dropped).to_netcdf(initial.with_name("part.nc"))
    run(capsys, *forecast(model, initial, output))
    whole = xr.load_dataset(output, decode_times=False)
    run(capsys, *forecast(model, initial.with_name("part.nc"), output))
    part = xr.load_dataset(output, decode_times=False)
    assert part["u"].dims == ("sample", "trajectory", "time", "y", "x")
    np.testing.assert_allclose(part["time"], whole["time"])
    np.testing.assert_allclose(part["u"][:, 0], whole["u"][:, 0], rtol=1e-4, atol=1e-5)


def test_dimensions_in_any_order(model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, *forecast(model, initial, output))
    expected = xr.load_dataset(output, decode_times=False)
    turned = initial.with_name("turned.nc")
    xr.load_dataset(initial, decode_times=False).transpose("x", "time", "y", "trajectory").to_netcdf(turned)
    run(capsys, *forecast(model, turned, output))
    xr.testing.assert_equal(expected, xr.load_dataset(output, decode_times=False))


def test_frames_without_coordinates(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Time then counts from 0, by the step that the model was trained with."""
    bare = initial.with_name("bare.nc")
    xr.load_dataset(initial, decode_times=False).drop_vars(["time", "y", "x"]).to_netcdf(bare)
    _, errors = run(capsys, *forecast(model, bare, output))
    assert errors == ""
    found = xr.load_dataset(output, decode_times=False)
    np.testing.assert_allclose(found["time"], 0.5 * np.arange(1, 6))
    assert set(found.coords) == {"time", "quantile"}


def test_frames_further_apart_than_the_model_steps(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = xr.load_dataset(initial, decode_times=False)
    frames["time"] = ("time", np.arange(4.0))
    frames.to_netcdf(initial)
    _, errors = run(capsys, *forecast(model, initial, output))
    assert errors.startswith("weightcast: warning: ")
    assert "frames.nc: time: found frames 1 apart, expected 0.5" in errors
    np.testing.assert_allclose(xr.load_dataset(output)["time"], 3.0 + 0.5 * np.arange(1, 6))


def test_a_blow_up_is_named_and_written_as_nan(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = load_artifact(model)
    weights = artifact.tensors["weights"].clone()
    weights[1] *= 1e8
    save_artifact(model, "model", {"weights": weights}, artifact.metadata)
    _, errors = run(capsys, *forecast(model, initial, output, steps=12))
    assert errors.count("\n") == 1
    assert errors.startswith("weightcast: warning: sample 1: ")
    found = xr.load_dataset(output, decode_times=False)
    step = int(errors.split("at step ")[1].split()[0])
    assert np.isfinite(found["u"][0]).all()
    together = np.isfinite(found["u"][1]) & np.isfinite(found["v"][1])
    assert together[:, : step - 1].all()
    assert not together[:, step - 1].all()
    assert not np.isinf(found["u"]).any()


# --- what cannot be used


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps", 0], ("--steps", "found 0")),
        (["--frame", 4], ("time", "found 4 frames", "index 4")),
        (["--frame", -5], ("time", "found 4 frames", "index -5")),
    ],
)
def test_arguments_that_cannot_be_used(
    arguments: list[object],
    words: tuple[str, ...],
    model: Path,
    initial: Path,
    output: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused(capsys, *forecast(model, initial, output), *arguments, words=words, output=output)


def test_missing_and_unreadable_frames(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = initial.with_name("none.nc")
    refused(capsys, *forecast(model, none, output), words=(none, "no such file"), output=output)
    none.write_text("not NetCDF")
    refused(capsys, *forecast(model, none, output), words=(none, "cannot be read"), output=output)
    initial.write_bytes(initial.read_bytes()[:-500])
    refused(capsys, *forecast(model, initial, output), words=(initial, "cannot be read"), output=output)


def test_truncated_file_in_the_classic_format(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    xr.load_dataset(initial, decode_times=False).to_netcdf(initial, format="NETCDF3_64BIT")
    run(capsys, *forecast(model, initial, output))
    output.unlink()
    initial.write_bytes(initial.read_bytes()[:-500])
    refused(capsys, *forecast(model, initial, output), words=(initial, "cannot be read"), output=output)


def test_frames_that_do_not_fit_the_model(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = xr.load_dataset(initial, decode_times=False)
    other = initial.with_name("other.nc")
    cases = [
        (given.rename(v="w"), ("channel v", "u, w")),
        (given.isel(x=slice(0, 6)), ("grid", "found 6 x 6", "expected 6 x 8")),
        (given.rename(y="latitude"), ("channel u", "latitude")),
        (given.expand_dims("sample"), ("channel u", "sample")),
        (given.isel(trajectory=slice(0, 0)), ("trajectory", "found 0")),
        (given.assign(v=given["v"].isel(time=0, drop=True)), ("channel v", "other dimensions than those of u")),
        (given.assign(v=given["v"].where(given["v"].time < 1.2)), ("found NaN", "channel v")),
        (given.assign(u=(given["u"].dims, np.full(given["u"].shape, "a", object))), ("channel u", "real numbers")),
        (given.assign_coords(time=[0.0, 2.0, 1.0, 3.0]), ("time", "increasing")),
    ]
    for dataset, words in cases:
        other.unlink(missing_ok=True)
        dataset.drop_encoding().to_netcdf(other)
        refused(capsys, *forecast(model, other, output), words=(other, *words), output=output)


def test_nan_elsewhere_does_not_matter(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = xr.load_dataset(initial, decode_times=False)
    given.assign(v=given["v"].where(given["v"].time > 0.2)).to_netcdf(initial)
    run(capsys, *forecast(model, initial, output))
    assert np.isfinite(xr.load_dataset(output)["u"]).all()


def test_model_that_is_damaged(model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = model.read_bytes()
    model.write_bytes(whole[:-3])
    refused(capsys, *forecast(model, initial, output), words=(model, "truncated or damaged"), output=output)
    for place in (30, len(whole) - 3):
        model.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        refused(capsys, *forecast(model, initial, output), words=(model,), output=output)


def test_artifact_of_another_kind(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    generator = tmp_path / "results" / "tiny" / "end-to-end" / "conditioned-0.safetensors"
    refused(capsys, *forecast(generator, initial, output), words=("kind", "'generator'", "'model'"), output=output)


def test_model_that_does_not_say_its_channels(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = load_artifact(model)
    metadata = {key: value for key, value in artifact.metadata.items() if key != "channels"}
    save_artifact(model, "model", artifact.tensors, metadata)
    refused(capsys, *forecast(model, initial, output), words=(model, "no channels"), output=output)
