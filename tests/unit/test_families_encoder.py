"""The network that reads samples of a few snapshots and says an environment's code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from families_kit import normal_family, trained_birth_death

from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.environments.code_priors import CodePrior
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.config.sample_encoder import SampleEncoderSettings
from weightcast.families.encoder_training import drawn_codes, drawn_part, made_up, visible_examples, with_encoder
from weightcast.families.inference import ShownSamples, infer_codes, log_likelihood, refined_codes, said_codes
from weightcast.families.map_choice import MapChoice
from weightcast.families.public import PathFamily
from weightcast.families.sample_encoder import SampleEncoder
from weightcast.families.trained_family import TrainedFamily
from weightcast.systems.birth_death import birth_death

SETTINGS = SampleEncoderSettings.model_validate(
    {
        "width": 32,
        "samples": 64,
        "made": 256,
        "members": 32,
        "refinement": 15,
        "training": {"steps": 300, "learning_rate": 0.005},
    }
)
SHOWN = (2, 4)


@pytest.fixture(scope="module")
def reading():
    """A family of two maps of births and deaths with a network that reads samples, and its samples."""
    family, snapshots, _ = trained_birth_death(maps=2)
    found, seconds = with_encoder(Run(), family, snapshots, SETTINGS, seed=2, name="encoder")
    assert seconds > 0
    return found, snapshots


def shown_of(snapshots, id: str, count: int) -> ShownSamples:
    one = snapshots.environments[id]
    return ShownSamples.of([([float(one.times[at]) for at in SHOWN], [one.train[at][:count] for at in SHOWN])])


def untrained(seed: int = 0) -> SampleEncoder:
    with Run().initialised(seed):
        return SampleEncoder(dimensions=2, maps=3, code=4, width=8)


def test_what_is_said_depends_on_no_order_and_on_no_padding():
    encoder, draws = untrained(), Draws("cpu", 1)
    times, values = draws.uniform(5, 3), draws.normal(5, 3, 7, 2).double()
    there = draws.uniform(5, 3, 7) < 0.6
    there[:, 0, 0] = True
    mean, deviation = encoder(times, values, there)
    assert mean.shape == deviation.shape == (3, 5, 4)

    snapshots, samples = torch.tensor([2, 0, 1]), torch.tensor([6, 2, 0, 1, 5, 4, 3])
    turned = encoder(times[:, snapshots], values[:, snapshots][:, :, samples], there[:, snapshots][:, :, samples])
    torch.testing.assert_close(turned, (mean, deviation), atol=1e-6, rtol=1e-5)
    hidden = values.where(there[..., None], 1e3)  # what padding holds is not read
    torch.testing.assert_close(encoder(times, hidden, there), (mean, deviation), atol=1e-6, rtol=1e-5)
    more = torch.cat([there, torch.zeros(5, 1, 7, dtype=torch.bool)], 1)
    padded = encoder(torch.cat([times, times[:, :1]], 1), torch.cat([values, values[:, :1]], 1), more)
    torch.testing.assert_close(padded, (mean, deviation), atol=1e-6, rtol=1e-5)


def test_times_and_values_are_read():
    encoder, draws = untrained(), Draws("cpu", 1)
    times, values = draws.uniform(1, 2), draws.normal(1, 2, 7, 2).double()
    there = torch.ones(1, 2, 7, dtype=torch.bool)
    mean, _ = encoder(times, values, there)
    for other in (encoder(times.flip(1), values, there), encoder(times, values + 1, there)):
        assert (other[0] - mean).abs().max() > 1e-4


def test_an_environment_of_which_nothing_is_shown_breaks_no_training():
    encoder = untrained()
    there = torch.zeros(2, 2, 7, dtype=torch.bool)
    there[0] = True
    mean, _ = encoder(torch.zeros(2, 2), torch.zeros(2, 2, 7, 2, dtype=torch.double), there)
    mean[:, 0].sum().backward()
    assert all(bool(torch.isfinite(one.grad).all()) for one in encoder.parameters() if one.grad is not None)


def test_random_parts_hold_samples_that_are_there_each_at_most_once():
    shown = ShownSamples.of([([0.0, 1.0, 2.0], [np.arange(9.0)[:, None] + 100 * at for at in range(3)])] * 4)
    settings = SampleEncoderSettings(snapshots=2, samples=5)
    counts, snapshots = set(), set()
    for step in range(60):
        part = drawn_part(shown, torch.tensor([0, 3]), settings, Draws("cpu", step))
        assert part.values.shape[:2] == (2, 2) and part.values.shape[2] <= 5
        for times, values, there in zip(part.times, part.values[..., 0], part.there, strict=True):
            snapshots.add(int(there.any(-1).sum()))
            for time, own, present in zip(times, values, there, strict=True):
                kept = own[present]
                assert len(set(kept.tolist())) == len(kept)
                assert ((kept >= 100 * time) & (kept < 100 * time + 9)).all()
                counts.add(len(kept))
    assert snapshots == {1, 2} and counts == {0, 1, 2, 3, 4, 5}


def test_codes_that_are_made_up_are_those_of_the_prior():
    prior = CodePrior.of(torch.tensor([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 6.0]]), 2.0)
    drawn = drawn_codes(prior, 20_000, Draws("cpu", 3))
    # Four standard errors.
    torch.testing.assert_close(drawn.mean(0), prior.mean, atol=0.15, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), prior.factor @ prior.factor.T, atol=1.0, rtol=0.04)


def test_made_up_environments_are_of_one_map_each_and_have_its_law():
    family = dataclasses.replace(normal_family(0.5, [1.0, 2.0, 4.0, 5.0]))
    visible = ShownSamples.of([([0.0, 10.0], [np.ones((5, 1)), np.ones((5, 1))])] * 4)
    made = made_up(family, visible, SETTINGS, seed=1)
    codes = CodePrior.of(family.codes, 1.0).codes(made.codes[0])[:, 0]
    means = made.samples.values[..., 0].mean((1, 2))
    # Of 256 samples a mean has a standard error of 0.03.
    torch.testing.assert_close(means.float(), codes, atol=0.16, rtol=0)
    assert set(made.samples.times.flatten().tolist()) == {0.0, 10.0} and bool(made.known.all())


def test_a_new_environment_is_read_without_a_search(reading):
    """Births at 9, which no training has seen, between visible 8 and 10: to a twentieth at later times."""
    family, snapshots = reading
    [(member, code)] = said_codes(family, shown_of(snapshots, "new", 100))
    law = birth_death(birth=9.0, death=0.8, molecules=12, horizon=4.2).law
    assert law is not None
    for time in (3.5, 4.2):
        weights = member.weights(torch.tensor([time], dtype=torch.double), code[None])
        drawn = float(member.density.sample(weights, 4000, 0).mean())
        assert drawn == pytest.approx(law.mean(time)[0], rel=0.1)  # the nearest visible laws are 10 % off and more


def test_more_samples_are_read_better(reading):
    family, snapshots = reading
    off = {}
    for count in (1, 64):
        found = []
        for id in family.ids:
            shown = shown_of(snapshots, id, count)
            codes = family.encoded(shown.times, shown.values, shown.there)
            whitened = CodePrior.of(family.codes, 1.0).whitened(codes[0, 0] - family.codes[family.ids.index(id)])
            origin = CodePrior.of(family.codes, 1.0).whitened(torch.zeros_like(codes[0, 0]))
            found.append(float((whitened - origin).square().sum()))
        off[count] = np.mean(found)
    assert off[64] < 0.6 * off[1]


def test_a_short_search_from_there_finds_what_a_long_one_does(reading):
    family, snapshots = reading
    settings = InferenceSettings(starts=4, steps=100, proposals=64, draws=8, encoder=SETTINGS)
    shown = shown_of(snapshots, "new", 60)
    short = refined_codes(family, shown, settings, 1, ["new"])
    long = infer_codes(family, shown, settings, 1, ["new"])
    assert short.draws.shape == long.draws.shape
    said = family.encoded(shown.times, shown.values, shown.there)
    probable = [_log_posterior(family, codes, shown) for codes in (long.mode, short.mode, said)]
    # Codes half a nat less probable than the best one are hardly told from it.
    torch.testing.assert_close(probable[1], probable[0], atol=0.25, rtol=0)
    assert bool((probable[1] > probable[2]).all())


def _log_posterior(family: TrainedFamily, codes: torch.Tensor, shown: ShownSamples) -> torch.Tensor:
    """Of codes [map, environment, number], but for a constant [map]."""
    with torch.no_grad():
        likelihood = log_likelihood(family, codes[:, :, None], shown)[:, 0, 0]
    prior = [one.prior.log_whitened(one.prior.whitened(own[0])) for one, own in zip(family.members, codes, strict=True)]
    return likelihood + torch.stack(prior)


def test_a_family_keeps_its_network(reading, tmp_path: Path):
    family, snapshots = reading
    dataclasses.replace(family, metadata={"dimensions": ["X"]}).save(tmp_path / "family.safetensors")
    read = TrainedFamily.load(tmp_path / "family.safetensors")
    shown = shown_of(snapshots, "new", 9)
    told = (shown.times, shown.values, shown.there)
    torch.testing.assert_close(read.encoded(*told), family.encoded(*told), atol=0, rtol=0)

    settings = InferenceSettings(starts=2, steps=20, proposals=32, draws=4, encoder=SETTINGS)
    new = snapshots.environments["new"]
    law = PathFamily(read, settings).infer({float(new.times[at]): new.train[at][:20] for at in SHOWN})
    assert law.sample([3.5], 10).shape == (1, 10, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"maps": 3}, "size mismatch"),
        ({"dimensions": 2}, "size mismatch"),
        ({"maps": 1, "code": 4}, r"encoder: found one of \(dimensions, maps, code\) \(1, 1, 4\), expected \(1, 2, 2\)"),
        ({"width": "1"}, "encoder.width"),
        ({"code": 0}, "encoder.code"),
    ],
)
def test_a_network_of_other_samples_is_refused(reading, tmp_path: Path, changes, words):
    family, _ = reading
    path = tmp_path / "family.safetensors"
    dataclasses.replace(family, metadata={"dimensions": ["X"]}).save(path)
    artifact = load_artifact(path)
    metadata = artifact.metadata | {"encoder": artifact.metadata["encoder"] | changes}
    with pytest.raises(InputError, match=words) as found:
        save_artifact(path, "family", artifact.tensors, metadata)
        TrainedFamily.load(path)
    assert "\n" not in str(found.value)


def test_a_family_without_one_says_so():
    family = normal_family(0.5, [1.0, 2.0, 4.0])
    shown = ShownSamples.of([([1.0], [np.ones((3, 1))])])
    with pytest.raises(InputError, match=r"inference\.encoder"):
        said_codes(family, shown)
    with pytest.raises(InputError, match=r"inference\.encoder"):
        refined_codes(family, shown, InferenceSettings(), 0, ["a"])


def test_visible_environments_are_read_with_codes_of_every_map(reading):
    family, snapshots = reading
    found = visible_examples(family, snapshots, SETTINGS, seed=0)
    assert found.codes.shape == (2, len(family.ids), 2) and bool(found.known.all())
    # Whitened by themselves: mean 0.
    torch.testing.assert_close(found.codes.mean(1), torch.zeros(2, 2), atol=1e-4, rtol=0)
    assert found.samples.values.shape[2] == 4 * SETTINGS.samples


def test_choices_without_a_network_are_written_as_before(tmp_path: Path):
    plain = MapChoice.load(_choice(tmp_path, {}))
    assert plain.code_errors == {}
    plain.save(tmp_path / "again.yaml")
    assert "code_errors" not in (tmp_path / "again.yaml").read_text()
    errors = {"search": 1.0, "encoder": 1.2, "refined": 1.1}
    assert MapChoice.load(_choice(tmp_path, {"code_errors": errors})).code_errors == errors
    with pytest.raises(InputError, match="code_errors"):
        MapChoice.load(_choice(tmp_path, {"code_errors": {"search": "x"}}))


def _choice(folder: Path, changes: dict) -> Path:
    plain = {
        "kind": "deep",
        "widened": 2,
        "prior": "gaussian",
        "inflation": {"inside": 1.0, "edge": 2.0, "near": 1.0, "far": 2.0},
        "edge": ["a"],
        "inside": ["b"],
        "errors": {"deep": 1.0},
        "width_errors": {"2": 1.0},
        "prior_errors": {"gaussian": 1.0},
        "coverage": {},
        "seconds": 1.0,
    }
    (folder / "choice.yaml").write_text(yaml.safe_dump(plain | changes))
    return folder / "choice.yaml"
