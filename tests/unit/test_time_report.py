"""The report of a study across time: the page of a tiny study that is really trained."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from refusals import refused
from test_report_browser import CHROMIUM, visit, with_script
from tiny_time_study import CONFIG, SAMPLES, STATES, summary_of

from weightcast.core.artifact_header import ArtifactHeader
from weightcast.core.job import Job
from weightcast.core.methods import FLOW_PREFIX
from weightcast.core.run import Run
from weightcast.core.training_curves import training_curves
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.bridge import Bridge
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.displacement import DisplacementInterpolation
from weightcast.evolution.distances.marginals import jensen_shannon, paper_w
from weightcast.evolution.distances.moments import relative_moment_error
from weightcast.evolution.distances.wasserstein import wasserstein
from weightcast.evolution.flow_artifact import FlowArtifact
from weightcast.evolution.interpolation import interpolate_weights
from weightcast.evolution.jobs import MapPath, ShowDistributions
from weightcast.evolution.report.page import build_time_report
from weightcast.evolution.stages.map_path import map_path
from weightcast.evolution.stages.show_distributions import show_distributions
from weightcast.evolution.stages.train_anchors import fit_anchors
from weightcast.evolution.stages.train_flow import fit_flow, new_flow
from weightcast.evolution.state_space import build_state_space
from weightcast.evolution.weight_path import WeightPath
from weightcast.runner import run_job
from weightcast.samples.snapshots import Snapshots, write_snapshots
from weightcast.systems.jump_process import simulate_jumps
from weightcast.systems.stochastic import build_stochastic_system

ROOT = Path(__file__).parents[2]
SECTIONS = (
    "verdict",
    "reading",
    "summary",
    "distributions",
    "errors",
    "path",
    "moments",
    "published",
    "costs",
    "trainings",
    "config",
    "versions",
)
FIGURES = ("summary", "marginals", "joints", "error_against_time", "weight_path", "costs", "trainings")


class Elements(HTMLParser):
    """Start tags of a page, as (tag, attributes), and the text that a reader sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.hidden = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.hidden = tag in ("script", "style")

    def handle_endtag(self, tag):
        self.hidden = False

    def handle_data(self, data):
        if not self.hidden:
            self.text += data


# --- a tiny study ---


def epidemic_snapshots() -> Snapshots:
    """Ten times, four of them observed; 60 trajectories to train with and 60 held out."""
    process = build_stochastic_system("epidemic", {})
    times = np.linspace(0, process.horizon, 10)
    samples = simulate_jumps(process, times, 120, seed=0).astype(np.float64)
    parts = (tuple(part[:, position] for position in range(len(times))) for part in (samples[:60], samples[60:]))
    return Snapshots(times, np.arange(len(times)) % 3 == 0, *parts, process.species, STATES, "days")


def train(results: Path, snapshots: Snapshots, study: TimeStudy) -> None:
    """Anchors and flows, as artifacts where a study keeps them."""
    space = build_state_space({"kind": "counts", "states": STATES, "dimensions": 3})
    density = StackedDensity.new(study.density, space, study.seed)
    times, samples = snapshots.observed_times, snapshots.observed_train
    anchors = {}
    for kind in study.anchors.kinds:
        anchors[kind] = fit_anchors(Run(), kind, density, times, samples, study.anchors, 0, {"seed": 0})
        anchors[kind].save(results / "anchors" / "all" / f"{kind}-0.safetensors")
    bridges = {"aligned": study.anchors.bridge.model_copy(update={"per_interval": 1}), "bridged": study.anchors.bridge}
    for name, arm in study.flow.arms.items():
        settings, start = study.flow.of_arm(name), anchors[arm.anchors]
        run = Run()
        flow = new_flow(run, start, arm, settings, 0)
        bridge = Bridge(times, samples, True, bridges[arm.anchors], 0)
        fit_flow(run, flow, start, bridge, arm.objective, settings, 0)
        described = {
            "times": times.tolist(),
            "dimensions": list(snapshots.dimensions),
            "arm": name,
            "seed": 0,
            "study": study.study,
            "seconds": 1.0,
            "seconds_before": 2.0,
        }
        artifact = FlowArtifact(flow, density, arm, settings, described | run.described())
        artifact.save(results / "flow" / "all" / f"{name}-0.safetensors")


def drawn_samples(results: Path, snapshots: Snapshots) -> dict[str, list[np.ndarray]]:
    """Samples of every method at every time."""
    times, found = snapshots.times, {}
    for arm in ("ode", "published"):
        path = WeightPath.load(results / "flow" / "all" / f"{arm}-0.safetensors")
        found[f"{FLOW_PREFIX}{arm}"] = list(path.density.sample(path.weights(times), SAMPLES, 0).numpy())
    for kind in ("aligned", "bridged"):
        anchors = Anchors.load(results / "anchors" / "all" / f"{kind}-0.safetensors")
        for curve in ("linear", "pchip"):
            weights = interpolate_weights(anchors.times, anchors.weights, times, curve)
            found[f"{curve}-{kind}"] = list(anchors.density.sample(weights, SAMPLES, 0).numpy())
    displacement = DisplacementInterpolation(snapshots.observed_times, snapshots.observed_train)
    moved = [displacement.sample(float(time), SAMPLES, 0) for time in times]
    found["displacement"] = [np.clip(np.round(part), 0, STATES - 1) for part in moved]
    found["sampling-floor"] = [part[SAMPLES - 60 :][:SAMPLES] for part in snapshots.train]
    return found


def metrics_of(drawn: dict[str, list[np.ndarray]], snapshots: Snapshots) -> pd.DataFrame:
    """metrics.csv: observed and unobserved times, one snapshot left out, and scores as of the source."""
    rows = []
    scale = np.concatenate(snapshots.held_out).std(axis=0)
    moments = ("mean_error", "variance_error", "third_moment_error", "fourth_moment_error")
    for name, of_method in drawn.items():
        for position, samples in enumerate(of_method):
            seen = "observed" if snapshots.observed[position] else "unobserved"
            splits = [seen, *(["held_out"] if position == 3 else []), *(["source"] if position else [])]
            for split in splits:
                truth = (snapshots.train if split == "source" else snapshots.held_out)[position]
                values = {"jsd": jensen_shannon(samples, truth, STATES), "paper_w": paper_w(samples, truth, STATES)}
                if split != "source":
                    values["wasserstein"] = wasserstein(samples, truth)
                    values |= dict(zip(moments, relative_moment_error(samples, truth, scale), strict=True))
                time = f"t={snapshots.times[position]:g}"
                rows += [("tiny", name, split, time, 0, position, metric, value) for metric, value in values.items()]
    columns = ["study", "method", "split", "environment", "seed", "horizon", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Results folder and samples of a whole study."""
    folder = tmp_path_factory.mktemp("time-study")
    results, samples = folder / "results", folder / "snapshots.nc"
    snapshots = epidemic_snapshots()
    write_snapshots(samples, snapshots)
    train(results, snapshots, parse_time_study(CONFIG))
    metrics = metrics_of(drawn_samples(results, snapshots), snapshots)
    (results / "report").mkdir()
    metrics.to_csv(results / "metrics.csv", index=False)
    summary_of(metrics).to_csv(results / "summary.csv", index=False)
    (results / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    pd.DataFrame(
        [("anchors", "bridged-0", "", 1000, 7, 2.5, 0.0, ""), ("flow", "ode-0", "", 2000, 1, 1.0, 0.0, "flow")],
        columns=["stage", "artifact", "method", "parameters", "members", "train_seconds", "adapt_seconds", "kept"],
    ).to_csv(results / "report" / "costs.csv", index=False)
    flows = [results / "flow" / "all" / f"{arm}-0.safetensors" for arm in ("ode", "published")]
    anchors = sorted((results / "anchors" / "all").iterdir())
    trained = [ArtifactHeader.load(path) for path in (*anchors, *flows)]
    training_curves(trained).to_csv(results / "report" / "training_curves.csv", index=False)
    given = show_distributions.load({"flow": str(flows[0]), "snapshots": str(samples)})
    shown = show_distributions(Run(), ShowDistributions(samples=50, seed=0), **given)
    shown.save(results / "report" / "distributions.nc")
    given = map_path.load({"anchors": list(map(str, anchors)), "flows": list(map(str, flows))})
    map_path(Run(), MapPath(), **given).save(results / "report" / "weight_path.csv")
    return results, samples


@pytest.fixture(scope="session")
def built(study, tmp_path_factory):
    """Its page, as a file and as text, and the folder of its figures."""
    folder = tmp_path_factory.mktemp("time-report")
    build_time_report(*study, folder / "report.html", folder / "figures")
    return folder / "report.html", (folder / "report.html").read_text(encoding="utf-8"), folder / "figures"


@pytest.fixture
def copied(study, tmp_path):
    """The study again, to be damaged; without the files whose figures take longest."""
    shutil.copytree(study[0], tmp_path / "results")
    for name in ("distributions.nc", "weight_path.csv"):
        (tmp_path / "results" / "report" / name).unlink()
    return tmp_path / "results", study[1]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


# --- the page ---


def test_page_has_every_section(built):
    _, page, _ = built
    anchors = {attributes.get("id") for _, attributes in Elements(page).found}
    assert set(SECTIONS) <= anchors
    assert "Left out:" not in page


def test_page_shows_numbers_alone(built):
    """No missing number is printed as what a program calls it."""
    text = Elements(built[1]).text
    assert not re.search(r"\b(nan|NaN|None|inf)\b", text)


def test_page_asks_nothing_of_the_network(built):
    references = [
        value
        for _, attributes in Elements(built[1]).found
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href")
    ]
    assert references and all(value.startswith(("data:", "#")) for value in references)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|https?://", built[1])


def test_every_image_has_words_and_a_size_and_is_a_file(built):
    _, page, figures = built
    images = [attributes for tag, attributes in Elements(page).found if tag == "img"]
    assert len(images) == len(FIGURES)
    assert all(len(image["alt"]) > 30 and image["width"] and image["height"] for image in images)
    assert {path.stem for path in figures.iterdir()} == set(FIGURES)


def test_tables_name_splits_marks_moments_and_published_figures(built):
    _, page, _ = built
    for title in ("Unobserved times", "Observed times", "Left-out snapshots", "As the method&#39;s source scores"):
        assert f"<h3>{title}</h3>" in page
    for mark in ("best baseline", "best on the same anchors", "reference", "chosen arm"):
        assert f'<span class="mark">{mark}</span>' in page
    assert page.index("<h3>Unobserved times") < page.index("<h3>Observed times")
    assert "Fourth moment" in page
    moments = re.search(r'aria-label="Means and standard deviations".*?</table>', page, re.DOTALL).group(0)
    assert moments.count('<tr><th scope="row">') == 5 * 3
    assert "WeightFlow (CDE)" in page and "1.10" in page


def test_page_tells_the_study_its_configuration_and_its_costs(built):
    _, page, _ = built
    text = Elements(page).text
    assert "10, from 0 to 50 days, 4 of them observed" in text
    assert "per_interval: 2" in text
    assert np.__version__ in text
    assert re.search(r"total\s*2\s*8\s*3\.5", text)


def test_verdict_of_a_trained_study(built):
    verdict = re.search(r'<section class="verdict".*?</section>', built[1], re.DOTALL).group(0)
    for words in ("at unobserved times", "times the sampling floor", "(bridged) with", "Displacement interpolation"):
        assert words in verdict
    assert "arm published: from rest, towards aligned anchors" in verdict
    assert "With a snapshot left out" in verdict


def test_same_results_give_the_same_page(copied, tmp_path):
    pages = []
    for name in ("first", "second"):
        build_time_report(*copied, tmp_path / name / "report.html", tmp_path / name / "figures")
        pages.append((tmp_path / name / "report.html").read_bytes())
    assert pages[0] == pages[1]
    page = pages[0].decode()
    for name in ("weight_path.csv", "distributions.nc"):
        assert f"Left out: report/{name} was not computed for this study." in page


def test_refuses_broken_inputs_and_writes_nothing(copied, tmp_path):
    results, samples = copied

    def build() -> None:
        build_time_report(results, samples, tmp_path / "report.html", tmp_path / "figures")

    whole = (results / "metrics.csv").read_text()
    (results / "metrics.csv").write_text(whole.replace(",0,9,", ",0,10,"))
    with refused("metrics.csv", "horizon", "10"):
        build()
    (results / "metrics.csv").write_text(whole.replace("flow-ode", "someone"))
    with refused("method", "someone"):
        build()
    (results / "metrics.csv").write_text(whole)
    (results / "report" / "distributions.nc").write_bytes(b"no NetCDF")
    with refused("distributions.nc"):
        build()
    (results / "report" / "distributions.nc").unlink()
    (results / "config.yaml").write_text("study: tiny\n")
    with refused("config.yaml"):
        build()
    assert not (tmp_path / "report.html").exists()
    assert not (tmp_path / "figures").exists()


def report_job(results: Path, snapshots: Path, folder: Path) -> str:
    """The job that writes a report, as the pipeline tells it."""
    report = results / "report"
    inputs = {"metrics": results / "metrics.csv", "summary": results / "summary.csv", "costs": report / "costs.csv",
              "curves": report / "training_curves.csv",
              "distributions": report / "distributions.nc", "weight_path": report / "weight_path.csv",
              "snapshots": snapshots}  # fmt: skip
    return Job(
        "write_time_report",
        inputs={name: str(path) for name, path in inputs.items()},
        outputs={"page": str(folder / "report.html"), "figures": str(folder / "figures")},
        config=str(results / "config.yaml"),
    ).to_json()


def test_the_stage_writes_the_page_and_its_figures(study, built, tmp_path):
    run_job(report_job(*study, tmp_path))
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == built[1]
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {path.name for path in built[2].iterdir()}


def test_the_stage_ends_in_one_line_on_bad_input(copied, tmp_path):
    (copied[0] / "metrics.csv").write_text("no table\n")
    for name in ("distributions.nc", "weight_path.csv"):
        (copied[0] / "report" / name).write_text("")
    failed = run("scripts/run_stage.py", report_job(*copied, tmp_path))
    assert failed.returncode == 1
    failed.stderr = failed.stderr.partition("\n")[2]  # the first line of a job's log is the job
    assert failed.stderr.startswith("weightcast: error: ") and failed.stderr.count("\n") == 1


# --- in a browser ---


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (chromium, google-chrome)")
def test_page_opens_in_a_browser_without_the_network_and_sorts(built, tmp_path):
    shown = "Array.from(document.images, (i) => i.complete && i.naturalWidth > 300).join()"
    script = (
        f'addEventListener("load", () => {{ document.title = {shown} }});'
        'document.querySelector("table.sortable .sort").click();'
    )
    seen = visit(with_script(built[0], script, tmp_path), tmp_path)
    assert (seen.console, seen.requests) == ([], [])
    assert re.search(r"<title>(.*?)</title>", seen.document).group(1) == ",".join(["true"] * len(FIGURES))
    table = re.search(r'<table class="sortable">(.*?)</table>', seen.document, re.DOTALL).group(1)
    values = [float(value) for value in re.findall(r'</th>\s*<td data-value="([^"]*)"', unescape(table))]
    assert len(values) == 8
    assert values == sorted(values, reverse=True)
