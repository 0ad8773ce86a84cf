"""``weightcast generate --frames`` and ``weightcast forecast`` with a context, and the same in Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from command_line import refused, run
from tiny_context import CODES, MODEL_ERROR, NORMALISATION, made_by, tiny_context, write_context_study
from tiny_study import tiny_config, without_parameters, write_config, write_results

import weightcast
from weightcast.core.artifacts import load_artifact
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.environments.code_posteriors import draw_codes
from weightcast.environments.context import Context
from weightcast.environments.ensemble import draw_ensemble, error_at, summarise
from weightcast.environments.windows import Windows
from weightcast.trajectories import write_trajectories

Change = Callable[[xr.Dataset], xr.Dataset]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_context_study(tmp_path)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return tiny_context(tmp_path)


@pytest.fixture
def observed(tmp_path: Path, context: Context) -> Path:
    """2 trajectories of 9 frames of an environment between two visible ones."""
    write_trajectories(tmp_path / "observed.nc", made_by(context, 0.5))
    return tmp_path / "observed.nc"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "ensemble.safetensors"


def changed(file: Path, change: Change) -> Path:
    """A file beside another one."""
    path = file.with_name("changed.nc")
    change(xr.load_dataset(file, decode_times=False)).drop_encoding().to_netcdf(path)
    return path


def subfolder(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def tensor(file: Path) -> torch.Tensor:
    dataset = xr.load_dataset(file, decode_times=False)
    return torch.tensor(np.stack([dataset["u"], dataset["v"]], axis=2))


# --- generate


def test_the_code_that_made_the_frames_is_found(context: Context, observed: Path) -> None:
    posterior = context.infer(tensor(observed)[None])
    assert float(posterior.best) == pytest.approx(0.5, abs=1e-3)


def test_an_ensemble_from_frames(
    results: Path, observed: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, errors = run(capsys, "generate", results, "--frames", observed, "-n", 32, "--keep", 8, "-o", output)
    assert errors == ""
    assert "2 x 9 frames (trajectory, time)" in shown
    assert "8 predictors" in shown
    assert "the most probable of 32 candidates" in shown
    assert "settle all 1 direction" in shown
    assert "the frames fit" in shown
    assert "visible environment" not in shown.replace("visible environments left out", "")
    artifact = load_artifact(output, "model")
    probabilities = artifact.tensors["probabilities"]
    assert artifact.tensors["weights"].shape[0] == len(probabilities) == 8
    assert float(probabilities.sum()) == pytest.approx(1.0)
    assert (probabilities > 0).all()
    metadata = artifact.metadata
    assert (metadata["arm"], metadata["candidates"], metadata["observed"]) == ("context", 32, "observed.nc")
    assert metadata["fits"] is True
    assert metadata["like"] == []
    assert len(metadata["spread"]) == 1
    assert metadata["model_error"] == MODEL_ERROR
    assert metadata["residual_over_usual"] < 1
    assert metadata["case"] == {"trajectories": 2, "frames": 9, "observed": 1.0, "every_pixel": 1, "every_step": 1}
    assert (metadata["channels"], metadata["frame_step"], metadata["environment"]) == (["u", "v"], 0.5, {})


def test_as_many_as_the_study_says(
    results: Path, observed: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, _ = run(capsys, "generate", results, "--frames", observed, "--arm", "context", "-o", output)
    assert "16 predictors" in shown


def test_a_single_candidate_is_the_most_probable(
    results: Path, context: Context, observed: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "generate", results, "--frames", observed, "-n", 1, "-o", output)
    best = context.weights(context.infer(tensor(observed)[None]).best)
    torch.testing.assert_close(load_artifact(output).tensors["weights"], best)


def test_the_same_seed_gives_the_same_bytes(
    results: Path, observed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(capsys, "generate", results, "--frames", observed, "--seed", seed, "-o", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_a_visible_environment_is_recognised(
    results: Path, context: Context, tmp_path: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_trajectories(tmp_path / "seen.nc", made_by(context, CODES["high"]))
    shown, errors = run(capsys, "generate", results, "--frames", tmp_path / "seen.nc", "-o", output)
    assert "like visible environment high\n" in shown
    assert errors == ""


def test_one_frame_gives_the_prior(
    results: Path, observed: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    single = changed(observed, lambda frames: frames.isel(time=[3]))
    shown, errors = run(capsys, "generate", results, "--frames", single, "-n", 6, "-o", output)
    assert "a single frame tells environments not apart" in shown
    assert errors == ""
    artifact = load_artifact(output)
    np.testing.assert_allclose(artifact.tensors["probabilities"], 1 / 6)
    assert artifact.metadata["noise"] is None
    assert artifact.metadata["spread"] == [1.0]


def test_noise_is_not_taken_for_another_kind_of_system(
    results: Path, context: Context, tmp_path: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_trajectories(tmp_path / "noisy.nc", made_by(context, 0.5, noise=0.1))
    shown, errors = run(capsys, "generate", results, "--frames", tmp_path / "noisy.nc", "-o", output)
    assert errors == ""
    assert "looks like noise" in shown
    assert load_artifact(output).metadata["white_noise"] == pytest.approx(0.1, rel=0.3)


def test_what_fits_nothing_is_outside_of_what_the_zoo_knows(
    results: Path, observed: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    growing = changed(
        observed, lambda frames: frames.assign(u=frames["u"].isel(time=0) + 0.3 * frames["time"] * frames["x"])
    )
    growing = changed(growing, lambda frames: frames.transpose("trajectory", "time", "y", "x"))
    _, errors = run(capsys, "generate", results, "--frames", growing, "-o", output)
    assert errors.count("\n") == 1
    assert errors.startswith("weightcast: warning: ")
    assert "outside of what the zoo knows" in errors
    assert load_artifact(output).metadata["fits"] is False


def test_every_kth_pixel_and_step(
    results: Path, context: Context, observed: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coarse = changed(
        observed, lambda frames: frames.isel(time=slice(0, None, 2), y=slice(0, None, 2), x=slice(0, None, 2))
    )
    shown, errors = run(capsys, "generate", results, "--frames", coarse, "-n", 1, "-o", output)
    assert "2 x 5 frames (trajectory, time), every 2nd pixel, every 2nd step" in shown
    assert errors == ""
    case = load_artifact(output).metadata["case"]
    assert (case["every_pixel"], case["every_step"], case["frames"]) == (2, 2, 5)


def test_every_second_step_alone_tells_the_same_code(
    results: Path, context: Context, observed: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sparse = changed(observed, lambda frames: frames.isel(time=[0, 2, 6, 8]))
    shown, _ = run(capsys, "generate", results, "--frames", sparse, "-n", 1, "-o", output)
    assert "2 x 4 frames (trajectory, time), every 2nd step" in shown
    torch.testing.assert_close(
        load_artifact(output).tensors["weights"], context.weights(torch.tensor([[0.5]])), rtol=0, atol=1e-3
    )


def test_masked_values(results: Path, observed: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masked = changed(observed, lambda frames: frames.where(frames["x"] > 0.3))
    shown, errors = run(capsys, "generate", results, "--frames", masked, "-o", output)
    assert "38% of the values masked" in shown
    assert errors == ""


def test_rollouts_start_from_observed_frames() -> None:
    frames = torch.arange(7.0).reshape(1, 1, 7, 1, 1, 1).clone()
    frames[:, :, 1::2] = torch.nan
    windows = Windows.of(frames, torch.nan_to_num(frames, nan=-1.0), unroll=2, most=16)
    assert windows.start.flatten().tolist() == [0.0, 2.0, 4.0]
    assert windows.observed[0, :, :, 0, 0, 0].tolist() == [[0.0, 1.0]] * 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frames: frames.rename(v="w"), ("channel v", "u, w")),
        (lambda frames: frames.isel(x=slice(0, 5)), ("grid", "found 6 x 5", "expected 6 x 8")),
        (lambda frames: frames.isel(x=slice(0, None, 2)), ("grid", "found 6 x 4")),
        (lambda frames: (frames * 1000.0).assign_coords(frames.coords), ("channel u", "looks 1000 times too large")),
        (lambda frames: (frames * 1e-3).assign_coords(frames.coords), ("channel u", "looks 1000 times too small")),
        (lambda frames: (frames - 25.0).assign_coords(frames.coords), ("channel u", "looks shifted by")),
        (lambda frames: (frames + 273.15).assign_coords(frames.coords), ("channel u", "looks shifted by 27")),
        (lambda frames: frames.where(frames["x"] > 9), ("no value that was observed",)),
        (lambda frames: frames.isel(time=slice(0, 0)), ("found 0 frames",)),
        (lambda frames: (frames * 0 + frames.isel(time=0)).transpose(*frames["u"].dims), ("constant frames", "all 9")),
        (lambda frames: frames.assign_coords(time=0.3 * frames["time"]), ("time", "0.15 apart", "multiple", "0.5")),
        (lambda frames: frames.assign(u=frames["u"] / 0.0), ("found Inf", "channel u")),
    ],
)
def test_frames_that_cannot_be_used(
    change: Change,
    words: tuple[str, ...],
    results: Path,
    observed: Path,
    output: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = changed(observed, change)
    refused(capsys, "generate", results, "--frames", file, "-o", output, words=(file, *words), output=output)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-n", 0], ("n", "found 0")),
        (["-n", 4, "--keep", 5], ("keep", "found 5", "1 to 4")),
        (["--keep", 0], ("keep", "found 0")),
        (["--arm", "paper"], ("generator.arms", "found none")),
    ],
)
def test_arguments_that_cannot_be_used(
    arguments: list[object],
    words: tuple[str, ...],
    results: Path,
    observed: Path,
    output: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["generate", results, "--frames", observed, *arguments, "-o", output]
    refused(capsys, *command, words=words, output=output)


def test_parameters_told_to_a_context(results: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--environment", "'a=1'", "expected --frames")
    refused(capsys, "generate", results, "--environment", "a=1", "-o", output, words=words, output=output)
    (results / "environments.csv").write_text("id,role,a\nlow,visible,1\n", encoding="utf-8")
    refused(capsys, "generate", results, "--environment", "a=1", "-o", output, words=words, output=output)


def test_study_that_makes_nothing_of_frames(
    results: Path, observed: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results / "base" / "context.safetensors").unlink()
    command = ["generate", results, "--frames", observed, "-o", output]
    refused(capsys, *command, words=("base/context.safetensors", "no such file"), output=output)
    write_config(results / "config.yaml", without_parameters(tiny_config(tmp_path)))
    refused(capsys, *command, words=("generator.arms", "no section context"), output=output)
    other = write_results(subfolder(tmp_path, "other"))
    command[1] = other
    refused(capsys, *command, "--arm", "context", words=("--arm", "conditioned, paper"), output=output)
    refused(capsys, *command, "--keep", 1, words=("--keep", "context"), output=output)


# --- weights of candidates


def test_importance_weights_are_even_where_the_drawn_density_is_right(context: Context, observed: Path) -> None:
    """With one settled direction the posterior is normal but for what is curved: candidates count nearly the same."""
    frames = tensor(observed)
    ensemble = draw_ensemble(context, context.infer(frames[None]), 64, None, seed=0)
    assert float(1 / ensemble.probabilities.square().sum()) > 50
    assert ensemble.codes.std() < 0.05
    kept = draw_ensemble(context, context.infer(frames[None]), 64, 5, seed=0)
    torch.testing.assert_close(kept.codes, ensemble.codes[:5])
    assert float(kept.probabilities.sum()) == pytest.approx(1.0)


# --- forecast


def test_forecast_with_mean_and_quantiles(
    results: Path, observed: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "generate", results, "--frames", observed, "-n", 16, "-o", output)
    file = tmp_path / "forecast.nc"
    shown, errors = run(capsys, "forecast", output, "--initial", observed, "--steps", 6, "-o", file)
    assert "with mean and quantiles" in shown
    assert errors == ""
    found = xr.load_dataset(file, decode_times=False)
    assert found["u"].dims == ("sample", "trajectory", "time", "y", "x")
    assert found["u_quantile"].dims == ("quantile", "trajectory", "time", "y", "x")
    assert found["quantile"].values.tolist() == [0.05, 0.25, 0.5, 0.75, 0.95]
    probabilities = load_artifact(output).tensors["probabilities"].numpy()
    for name in "uv":
        assert (np.diff(found[f"{name}_quantile"], axis=0) >= 0).all()
        mean = np.tensordot(probabilities, found[name].values.astype(np.float64), 1)
        np.testing.assert_allclose(found[f"{name}_mean"], mean, rtol=1e-4)
        assert found[f"{name}_mean"].attrs["units"] == "m s-1"
    # Candidates hardly differ here: the band is that of the model's error.
    width = (found["v_quantile"][-1] - found["v_quantile"][0]).mean(("trajectory", "y", "x"))
    error = np.array([error for _, error in MODEL_ERROR[:6]]) * NORMALISATION.scale[1]
    np.testing.assert_allclose(width, 2 * 1.645 * error, rtol=0.1)

    run(capsys, "forecast", output, "--initial", observed, "--steps", 6, "--no-members", "-o", file)
    alone = xr.load_dataset(file, decode_times=False)
    xr.testing.assert_equal(alone, found.drop_vars(["u", "v"]))
    _, errors = run(capsys, "forecast", output, "--initial", observed, "--steps", 9, "-o", file)
    assert "past step 8" in errors


def test_noise_of_the_initial_frame_widens_the_band(
    results: Path, observed: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "generate", results, "--frames", observed, "-n", 32, "-o", output)
    widths = []
    for noise in (0.0, 0.2):
        file = tmp_path / "forecast.nc"
        command = ["forecast", output, "--initial", observed, "--steps", 1, "--initial-noise", noise, "-o", file]
        run(capsys, *command)
        quantiles = xr.load_dataset(file, decode_times=False)["u_quantile"]
        widths.append(float((quantiles[-1] - quantiles[0]).mean()))
    assert widths[1] > 2 * widths[0]


def test_maps_of_one_step_know_no_times_in_between(
    results: Path, observed: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "generate", results, "--frames", observed, "-n", 2, "-o", output)
    file = tmp_path / "forecast.nc"
    command = ["forecast", output, "--initial", observed, "-o", file]
    refused(capsys, *command, "--times", "0:1:0.1", words=("--times", "maps of one step"), output=file)
    refused(capsys, *command, "--steps", 3, "--step", 0.1, words=("--step", "maps of one step"), output=file)
    refused(capsys, *command, words=("either --steps or --times",), output=file)
    for times in ("1:0:0.1", "a", "1,1", "-1,2", "0:1", "0:1:0"):
        refused(capsys, *command, f"--times={times}", words=("--times", times), output=file)
    run(capsys, *command, "--times", "0,1,2.5")
    found = xr.load_dataset(file, decode_times=False)
    np.testing.assert_allclose(found["time"], 4.0 + np.array([0.0, 1.0, 2.5]))
    run(capsys, "forecast", output, "--initial", observed, "--steps", 5, "-o", tmp_path / "steps.nc")
    steps = xr.load_dataset(tmp_path / "steps.nc", decode_times=False)
    np.testing.assert_array_equal(found["u"][:, :, 1:], steps["u"][:, :, [1, 4]])
    given = xr.load_dataset(observed, decode_times=False)["u"][:, -1]
    np.testing.assert_allclose(found["u"][0, :, 0], given, rtol=1e-5, atol=1e-5)


def test_forecasts_start_from_what_gaps_may_hold(
    results: Path, context: Context, observed: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Observed values stay as they are; each member starts from other ones in the gaps, around the likely ones."""
    run(capsys, "generate", results, "--frames", observed, "-n", 40, "-o", output)
    whole = xr.load_dataset(observed, decode_times=False)["u"].values[:, -1]
    file = tmp_path / "forecast.nc"

    def starts(initial: Path, *words: str) -> tuple[np.ndarray, str]:
        command = ["forecast", output, "--initial", initial, "--times", "0,0.5", *words, "-o", file]
        said = " ".join(run(capsys, *command))
        return xr.load_dataset(file, decode_times=False)["u"].values[:, :, 0], said

    masked = changed(observed, lambda frames: frames.where(frames["x"] > 0.3))
    found, said = starts(masked)
    gap = np.broadcast_to(np.isnan(xr.load_dataset(masked, decode_times=False)["u"].values[:, -1]), found.shape[1:])
    assert "of the values to start from are missing" in said and np.isfinite(found).all()
    np.testing.assert_allclose(found[:, ~gap], np.broadcast_to(whole, found.shape)[:, ~gap], rtol=1e-5, atol=1e-5)
    assert (found[:, gap].std(0) > 0).all()
    frames = tensor(masked)[:, -1]
    likely = context.base.normalisation.invert(context.space.complete(context.base.normalisation.apply(frames)))
    error = 5 * found[:, gap].std(0) / np.sqrt(len(found)) + 1e-5  # of a mean of draws
    assert (np.abs(found[:, gap].mean(0) - likely[:, 0].numpy()[gap]) < error).all()

    coarse = changed(observed, lambda frames: frames.isel(x=slice(None, None, 2), y=slice(None, None, 2)))
    found, said = starts(coarse, "--initial-noise", "0.01")
    assert "points 2 apart" in said and found.shape[-2:] == whole.shape[-2:]
    np.testing.assert_allclose(found.mean(0)[:, ::2, ::2], whole[:, ::2, ::2], rtol=0, atol=0.05)

    def nothing(frames: xr.Dataset) -> xr.Dataset:
        return frames.where(frames["time"] < frames["time"][-1])

    command = ["forecast", output, "--initial", changed(observed, nothing), "--steps", 2, "-o", tmp_path / "none.nc"]
    refused(capsys, *command, words=("found no value that was observed",), output=tmp_path / "none.nc")


def test_summary_of_a_mixture() -> None:
    members = torch.tensor([0.0, 1.0, 5.0])[:, None, None, None, None, None].expand(3, 1, 2, 1, 1, 1).clone()
    members[2, :, 1] = torch.nan
    mean, quantiles = summarise(members, torch.tensor([0.25, 0.25, 0.5]), None, [0.5])
    torch.testing.assert_close(mean.flatten(), torch.tensor([2.75, 0.5]))
    torch.testing.assert_close(quantiles.flatten(), torch.tensor([3.0, 0.5]))
    _, quantiles = summarise(members[:1], torch.ones(1), torch.full((2, 1), 2.0), [0.05, 0.95])
    torch.testing.assert_close(quantiles[:, 0, 0].flatten(), torch.tensor([-3.2897, 3.2897]), rtol=0, atol=1e-3)


def test_model_error_between_steps_and_beyond() -> None:
    error = error_at(torch.tensor([[1.0, 0.5], [2.0, 1.0]]), [0.5, 1.0, 1.5, 7.0], NORMALISATION)
    torch.testing.assert_close(error[:, 0], torch.tensor([1.0, 2.0, 3.0, 4.0]))  # times the scale 2
    torch.testing.assert_close(error[:, 1], torch.tensor([0.125, 0.25, 0.375, 0.5]))


# --- Python


def test_public_context(results: Path, context: Context, observed: Path) -> None:
    frames = tensor(observed)
    loaded = weightcast.Context.load(results)
    assert float(loaded.infer(frames).best) == pytest.approx(0.5, abs=1e-3)
    assert loaded.verdict(frames).fits
    found = loaded.forecast(frames, frames[:, -1], steps=3, n=8)
    assert found.members.shape == (8, 2, 3, 2, 6, 8)
    assert found.mean.shape == found.quantiles.shape[1:] == (2, 3, 2, 6, 8)
    assert (found.quantiles.diff(dim=0) >= 0).all()
    (best,) = loaded.predictors(frames, n=1)
    torch.testing.assert_close(found.mean, best.rollout(frames[:, -1], 3), atol=0.02, rtol=0.02)
    for wrong in (frames[:, :, :1], frames[..., :4], frames * torch.nan):
        with pytest.raises(InputError, match="frames: found"):
            loaded.ensemble(wrong)


def test_a_forecast_goes_on_from_what_all_frames_say_of_the_last(
    results: Path, context: Context, observed: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through noise it is nearer to the truth than one from the last frame, by the command and in Python."""
    true = tensor(observed)
    noisy = changed(observed, lambda whole: whole.isel(time=slice(0, 7)).map(with_noise, keep_attrs=True))
    frames, loaded = tensor(noisy), weightcast.Context.load(results)

    def error(mean: torch.Tensor) -> float:
        return float((mean - true[:, 7:9]).square().mean().sqrt())

    smooth = error(loaded.forecast(frames, steps=2, n=8).mean)
    assert smooth < 0.8 * error(loaded.forecast(frames, frames[:, -1], steps=2, n=8).mean)
    run(capsys, "generate", results, "--frames", noisy, "-n", 8, "-o", output)
    means = []
    for options in ((), ("--smooth",)):
        file = tmp_path / "forecast.nc"
        run(capsys, "forecast", output, "--initial", noisy, "--steps", 2, *options, "-o", file)
        forecast = xr.load_dataset(file, decode_times=False)
        means.append(torch.tensor(np.stack([forecast["u_mean"], forecast["v_mean"]], axis=2)))
        np.testing.assert_allclose(forecast["time"], [3.5, 4.0])
    assert error(means[1]) == pytest.approx(smooth, rel=0.1)
    assert error(means[1]) < 0.8 * error(means[0])
    command = ["forecast", output, "--initial", noisy, "--steps", 2, "--smooth", "-o", tmp_path / "out.nc"]
    refused(capsys, *command, "--frame", 7, words=(noisy, "found 7 frames", "index 7"), output=tmp_path / "out.nc")
    gone = changed(observed, lambda whole: whole.where(whole["time"] < -1.0))
    command[3] = gone
    refused(capsys, *command, words=(gone, "none without NaN"), output=tmp_path / "out.nc")


def test_candidates_are_as_unsure_as_noise_of_the_first_frame_makes_them(context: Context, observed: Path) -> None:
    """However they are drawn and weighted: the likelihood of independent residuals would be too sure."""
    frames = tensor(changed(observed, lambda whole: whole.map(with_noise, keep_attrs=True)))
    posterior = context.infer(frames[None])
    assert posterior.widened is not None and bool(posterior.widened[0])
    said = float(posterior.spread[0, 0])
    for draw in ("laplace", "weighted", "langevin"):
        drawn = draw_codes(draw, posterior, 400, Draws("cpu", draw))[0]
        assert float(posterior.prior.whitened(drawn).std()) == pytest.approx(said, rel=0.15), draw
    ensemble = draw_ensemble(context, posterior, 400, None, seed=0)
    torch.testing.assert_close(ensemble.probabilities, torch.full_like(ensemble.probabilities, 1 / 400))
    assert float(posterior.prior.whitened(ensemble.codes).std()) == pytest.approx(said, rel=0.15)
    assert context.infer(tensor(observed)[None]).widened is None


def with_noise(channel: xr.DataArray) -> xr.DataArray:
    noise = np.random.default_rng(0).standard_normal(channel.shape)
    return channel + (0.1 * float(channel.std()) * noise).astype(np.float32)


def test_public_generator_uses_the_context(results: Path, observed: Path, tmp_path: Path) -> None:
    frames = tensor(observed)
    generator = weightcast.Generator.load(results)
    assert len(generator.sample(frames=frames, n=3)) == 3
    assert float(generator.posterior(frames[:1]).best) == pytest.approx(0.5, abs=1e-2)
    with pytest.raises(InputError, match="expected frames"):
        generator.sample(environment={"a": 1.0})
    with pytest.raises(InputError, match="only a context"):
        _ = generator.metadata
    other = weightcast.Generator.load(write_results(subfolder(tmp_path, "other")))
    with pytest.raises(InputError, match="without a context"):
        other.posterior(frames)
    assert other.metadata["arm"] == "conditioned"


def test_a_context_beside_arms_is_for_frames_alone(results: Path, observed: Path, tmp_path: Path) -> None:
    both = write_results(subfolder(tmp_path, "both"))
    (both / "base").mkdir()
    (results / "base" / "context.safetensors").rename(both / "base" / "context.safetensors")
    frames = tensor(observed)
    generator = weightcast.Generator.load(both)
    assert generator.sample(frames=frames)[0].environment == {}
    assert generator.sample(environment={"beta": 1.0})[0].environment == {"beta": 1.0}
    assert weightcast.Generator.load(both, arm="paper").context is None
