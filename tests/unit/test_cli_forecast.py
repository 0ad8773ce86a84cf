from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from command_line import refused, run
from tiny_study import random_trajectories, write_results

from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.errors import InputError
from weightcast.environments.commands.observed_frames import read_observed_frames
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
        (given.rename(y="up"), ("channel u", "up")),
        (given.expand_dims(sample=2), ("channel u", "sample")),
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


# --- forms of frames


def test_units_of_time_are_compared(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model steps by 0.5 s."""
    frames = xr.load_dataset(initial, decode_times=False)
    frames["time"] = ("time", 500.0 * np.arange(4), {"units": "milliseconds since 2000-01-01"})
    frames.to_netcdf(initial)
    _, errors = run(capsys, *forecast(model, initial, output))
    assert errors == ""
    found = xr.load_dataset(output, decode_times=False)
    np.testing.assert_allclose(found["time"], 1500 + 500 * np.arange(1, 6))
    assert found["time"].attrs["units"].startswith("milliseconds")
    frames["time"] = ("time", np.arange(4), {"units": "minutes since 2000-01-01"})
    frames.to_netcdf(initial)
    _, errors = run(capsys, *forecast(model, initial, output))
    assert "time: found frames 1 apart, expected 0.00833333" in errors


def test_coordinates_decide_which_way_is_up(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, *forecast(model, initial, output))
    expected = xr.load_dataset(output, decode_times=False)
    turned = initial.with_name("turned.nc")
    xr.load_dataset(initial, decode_times=False).isel(y=slice(None, None, -1), x=slice(None, None, -1)).to_netcdf(
        turned
    )
    run(capsys, *forecast(model, turned, output))
    found = xr.load_dataset(output, decode_times=False)
    np.testing.assert_array_equal(found["u"], expected["u"])
    np.testing.assert_array_equal(found["y"], expected["y"])


def test_arrays_of_frames(model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, *forecast(model, initial, output))
    expected = xr.load_dataset(output, decode_times=False)
    given = xr.load_dataset(initial, decode_times=False).isel(trajectory=0)
    array = np.stack([given["u"].transpose("time", "x", "y"), given["v"].transpose("time", "x", "y")], axis=1)
    path = initial.with_name("frames.npy")
    np.save(path, array)
    run(capsys, *forecast(model, path, output))
    found = xr.load_dataset(output, decode_times=False)
    np.testing.assert_allclose(found["u"][:, 0], expected["u"][:, 0], rtol=1e-5, atol=1e-6)
    np.save(path, array[:, :1])
    refused(capsys, *forecast(model, path, output), words=("frames.npy", "found 1 channels", "expected 2"))
    np.save(path, array[..., :3])
    refused(capsys, *forecast(model, path, output), words=("frames.npy", "grid: found 3 x 8", "expected 6 x 8"))


def test_marks_of_missing_values_in_frames(
    model: Path, initial: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = xr.load_dataset(initial, decode_times=False)
    frames["u"][0, -1, 2, 3:5] = -9999.0
    frames.to_netcdf(initial)
    words = ("frames.nc", "u: found -9999", "trajectory 0", "y 2, x 3", "2 times")
    refused(capsys, *forecast(model, initial, output), words=words, output=output)


@pytest.mark.parametrize("dims", [("trajectory", "time"), ("time",), ()])
def test_states_without_a_grid(dims: tuple[str, ...], tmp_path: Path) -> None:
    sizes = {"trajectory": 2, "time": 3}
    values = np.arange(float(np.prod([sizes[name] for name in dims]))).reshape([sizes[name] for name in dims])
    xr.Dataset({"a": (dims, values), "b": (dims, -values)}).to_netcdf(tmp_path / "states.nc")
    found = read_observed_frames(tmp_path / "states.nc", ["a", "b"], [1, 1])
    assert found.values.shape == (2 if "trajectory" in dims else 1, 3 if "time" in dims else 1, 2, 1, 1)
    np.save(tmp_path / "states.npy", np.ones((3, 2)))
    assert read_observed_frames(tmp_path / "states.npy", ["a", "b"], [1, 1]).values.shape == (1, 3, 2, 1, 1)


def test_what_a_predictor_is_given(model: Path) -> None:
    (predictor, *_), _ = load_models(model)
    start = np.random.default_rng(0).random((3, 2, 6, 8))  # float64, of numpy
    expected = predictor.rollout(torch.from_numpy(start).float(), 2)  # type: ignore[operator]
    torch.testing.assert_close(predictor.rollout(start, 2), expected)  # type: ignore[operator]
    for shape, words in (
        ((3, 1, 6, 8), r"found the shape \[3, 1, 6, 8\], expected \[batch, 2, 6, 8\]"),
        ((2, 6, 8), r"found the shape \[2, 6, 8\]"),
        ((3, 2, 8, 6), r"found 8 x 6 points, expected 6 x 8 \(y, x\): are y and x swapped"),
    ):
        with pytest.raises(InputError, match=words):
            predictor.rollout(np.zeros(shape), 2)  # type: ignore[operator]
    with pytest.raises(InputError, match="no numbers"):
        predictor.rollout("frames", 2)  # type: ignore[operator]
