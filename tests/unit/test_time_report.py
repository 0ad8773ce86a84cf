"""The report of a study across time: the page of a tiny study that is really trained, verdicts on made-up errors."""

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
import xarray as xr
import yaml
from refusals import refused
from test_report_browser import CHROMIUM, visit, with_script

from weightcast.baselines.displacement import DisplacementInterpolation
from weightcast.config.time.load import parse_time_study
from weightcast.config.time.study import TimeStudy
from weightcast.distances.marginals import jensen_shannon, paper_w
from weightcast.distances.moments import relative_moment_error
from weightcast.distances.wasserstein import wasserstein
from weightcast.methods import FLOW_PREFIX
from weightcast.plots.export import render
from weightcast.plots.time_distributions import Landscape, plot_joints, plot_marginals
from weightcast.plots.time_errors import ErrorPanel, plot_time_errors
from weightcast.report.time_comparison import choose_protagonists, error_ratio, interpolated_anchors
from weightcast.report.time_page import build_time_report
from weightcast.report.time_tables import published_table, summary_tables
from weightcast.report.time_verdict import give_time_verdict
from weightcast.report.verdict import Verdict
from weightcast.statistics import SUMMARY_COLUMNS
from weightcast.systems.jump_process import simulate_jumps
from weightcast.systems.stochastic import build_stochastic_system
from weightcast.time.anchors import Anchors, train_anchors
from weightcast.time.bridge import Bridge
from weightcast.time.density import StackedDensity
from weightcast.time.flow_artifact import save_flow
from weightcast.time.flow_training import new_flow, train_flow
from weightcast.time.interpolation import interpolate_weights
from weightcast.time.snapshots import Snapshots, write_snapshots
from weightcast.time.state_space import build_state_space
from weightcast.time.statistics import summarise_times
from weightcast.time.weight_path import WeightPath

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
    "config",
    "versions",
)
FIGURES = ("summary", "marginals", "joints", "error_against_time", "weight_path", "costs")
SAMPLES = 40
STATES = 64
CONFIG = {
    "study": "tiny",
    "kind": "time",
    "data": {
        "source": "epidemic",
        "state": "counts",
        "states": STATES,
        "dimensions": ["S", "I", "R"],
        "trajectories": {"train": 60, "held_out": 60},
        "observed_every": 3,
    },
    "density": {"hidden": 4},
    "anchors": {
        "kinds": ["aligned", "bridged"],
        "training": {"steps": 40, "learning_rate": 0.05, "batch": 30},
        "bridge": {"per_interval": 2},
    },
    "flow": {
        "seeds": [0],
        "arms": {
            "ode": {"dynamics": "ode", "anchors": "bridged", "objective": "likelihood"},
            "published": {"dynamics": "cde", "anchors": "aligned", "objective": "anchors", "start": "rest"},
        },
        "width": 8,
        "heads": 2,
        "layers": 1,
        "control_path": {"dimensions": 1},
        "solver": {"method": "euler"},
        "anchor_training": {"steps": 3, "learning_rate": 1e-3, "segments": 2, "longest": 2},
        "likelihood_training": {"steps": 3, "learning_rate": 1e-4, "segments": 2, "longest": 2, "batch": 8},
    },
    "evaluation": {"samples": SAMPLES, "interpolations": ["linear", "pchip"], "leave_out": [1], "bootstrap": 100},
}


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
        anchors[kind] = train_anchors(kind, density, times, samples, study.anchors, 0, metadata={"seed": 0})
        anchors[kind].save(results / "anchors" / "all" / f"{kind}-0.safetensors")
    bridges = {"aligned": study.anchors.bridge.model_copy(update={"per_interval": 1}), "bridged": study.anchors.bridge}
    for name, arm in study.flow.arms.items():
        settings, start = study.flow.of_arm(name), anchors[arm.anchors]
        flow = new_flow(start, arm, settings, 0)
        bridge = Bridge(times, samples, True, bridges[arm.anchors], 0)
        train_flow(flow, start, bridge, arm.objective, settings, 0)
        described = {
            "times": times.tolist(),
            "dimensions": list(snapshots.dimensions),
            "arm": name,
            "seed": 0,
            "study": study.study,
            "seconds": 1.0,
            "seconds_before": 2.0,
        }
        save_flow(results / "flow" / "all" / f"{name}-0.safetensors", flow, density, arm, settings, described)


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


def summary_of(metrics: pd.DataFrame) -> pd.DataFrame:
    """summary.csv, with intervals that are wide enough for anything."""
    rows = []
    for (name, split, metric), group in metrics.groupby(["method", "split", "metric"]):
        median = group.groupby("seed")["value"].mean().median()
        trained = 0.0 if name in ("displacement", "sampling-floor") else 3.5
        costs = (0 if trained == 0 else 1000, trained, 0.01)
        times = group["environment"].nunique()
        rows.append((name, split, metric, median, 0.8 * median, 1.2 * median, times, np.nan, *costs))
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


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
        [("anchors", "bridged-0", "", 1000, 7, 2.5, 0.0), ("flow", "ode-0", "", 2000, 1, 1.0, 0.0)],
        columns=["stage", "artifact", "method", "parameters", "members", "train_seconds", "adapt_seconds"],
    ).to_csv(results / "report" / "costs.csv", index=False)
    flows = [results / "flow" / "all" / f"{arm}-0.safetensors" for arm in ("ode", "published")]
    anchors = sorted((results / "anchors" / "all").iterdir())
    shown = ("--snapshots", samples, "--flow", flows[0], "--samples", 50)
    for script in (
        ("scripts/show_distributions.py", *shown, "--output", results / "report" / "distributions.nc"),
        (
            "scripts/map_path.py",
            "--anchors",
            *anchors,
            "--flows",
            *flows,
            "--output",
            results / "report/weight_path.csv",
        ),
    ):
        done = run(*script)
        assert (done.returncode, done.stderr) == (0, "")
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


def test_script_ends_in_one_line_on_bad_input(study, tmp_path):
    rest = ("--snapshots", study[1], "--output", tmp_path / "report.html", "--figures", tmp_path / "figures")
    failed = run("scripts/write_time_report.py", "--results", tmp_path / "nowhere", *rest)
    assert failed.returncode == 1
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


# --- the verdict, on made-up errors ---


def made_up(typical: dict[str, float], splits: tuple[str, ...] = ("observed", "unobserved"), seeds: int = 3):
    """Metrics and summary: errors that scatter by 2 % around the typical ones, over twenty times."""
    random = np.random.default_rng(0)
    rows = [
        ("made-up", name, split, f"t={time}", seed, time, "wasserstein", error * random.normal(1, 0.02))
        for name, error in typical.items()
        for split in splits
        for time in range(20 if split != "held_out" else 1)
        for seed in range(seeds)
    ]
    columns = ["study", "method", "split", "environment", "seed", "horizon", "metric", "value"]
    metrics = pd.DataFrame(rows, columns=columns)
    return metrics, summary_of(metrics)


def verdict_of(typical: dict[str, float], **options) -> Verdict:
    metrics, summary = made_up({"sampling-floor": 0.5, "displacement": 1.5, **typical}, **options)
    return give_time_verdict(summary, metrics, parse_time_study(CONFIG), 3, draws=200)


def test_verdict_says_when_the_flow_beats_interpolation_and_when_it_loses():
    won = verdict_of({"flow-ode": 1.0, "pchip-bridged": 1.3, "linear-bridged": 1.6, "pchip-aligned": 0.9})
    assert won.headline == "The flow beats interpolation of its own anchors at unobserved times"
    assert "PCHIP (bridged) with 1.3" in won.paragraph
    assert "beyond the interval, so evolving the weights pays" in won.paragraph
    assert "The best of all baselines is PCHIP (aligned)" in won.paragraph
    assert "No arm of this study is trained as WeightFlow was published." in won.paragraph
    lost = verdict_of({"flow-ode": 1.4, "pchip-bridged": 1.3})
    assert lost.headline == "The flow loses to interpolation of its own anchors at unobserved times"
    assert "beyond the interval, so interpolation is better" in lost.paragraph


def test_verdict_does_not_call_noise_a_victory():
    verdict = verdict_of({"flow-ode": 1.0, "pchip-bridged": 1.0, "displacement": 0.8})
    assert verdict.headline == (
        "The flow equals interpolation of its own anchors, within the interval, at unobserved times; displacement "
        "interpolation, which has no model, comes closer still"
    )
    assert "the flow gains nothing over interpolation" in verdict.paragraph
    assert ": lower than the flow." in verdict.paragraph


def test_verdict_names_the_arm_that_was_chosen_at_observed_times():
    metrics, summary = made_up({"flow-ode": 1.0, "flow-published": 1.1, "pchip-bridged": 1.2})
    rows = (summary["method"] == "flow-published") & (summary["split"] == "unobserved")
    summary.loc[rows, "median"] = 0.7
    verdict = give_time_verdict(summary, metrics, parse_time_study(CONFIG), 3, draws=200)
    assert "(arm ode, chosen by its error at observed times)" in verdict.paragraph
    assert "The lowest error of any arm at unobserved times is that of published, 0.700." in verdict.paragraph
    assert "Trained as published, the flow reaches 0.700 (arm published: from rest" in verdict.paragraph


def test_verdict_falls_back_to_left_out_snapshots_and_says_when_there_is_no_interval():
    typical = {"flow-ode": 1.0, "pchip-bridged": 2.0}
    verdict = verdict_of(typical, splits=("observed", "held_out"), seeds=1)
    assert verdict.headline == (
        "The flow has a lower error than interpolation of its own anchors, without an interval to tell by, at "
        "left-out snapshots"
    )


def test_verdict_of_diverging_missing_and_lonely_flows():
    assert verdict_of({"flow-ode": np.inf, "pchip-bridged": 1.0}).headline.startswith("The flow diverges")
    assert verdict_of({"pchip-bridged": 1.0}).headline == "No flow was evaluated"
    assert "no interpolation of its own anchors" in verdict_of({"flow-ode": 1.0}).headline


def test_ratio_of_errors_pairs_times():
    metrics, _ = made_up({"flow-ode": 1.0, "pchip-bridged": 2.0})
    hardness = np.random.default_rng(1).lognormal(0, 1, 20)
    metrics["value"] *= hardness[metrics["horizon"]]
    compared = error_ratio(metrics, "flow-ode", "pchip-bridged", "unobserved", "wasserstein", 300)
    assert compared.low < compared.median < compared.high
    assert compared.median == pytest.approx(0.5, rel=0.05)
    assert compared.high < 0.6  # unpaired, the scatter of the times would drown the difference


def test_protagonists_are_on_the_same_anchors():
    _, summary = made_up({"flow-published": 1.0, "pchip-bridged": 0.5, "linear-aligned": 0.9, "pchip-aligned": 0.8})
    chosen = choose_protagonists(summary, parse_time_study(CONFIG), 3)
    assert (chosen.flow, chosen.interpolation, chosen.baseline) == ("flow-published", "pchip-aligned", "pchip-bridged")
    assert interpolated_anchors("flow-aligned") is None
    assert published_table(summary, "csv", chosen) == []


def test_verdict_takes_the_summary_of_the_pipeline():
    """Medians, intervals and tests as the pipeline computes them say the same as the verdict's own ratio."""
    metrics, _ = made_up({"flow-ode": 1.0, "pchip-bridged": 1.3, "displacement": 1.5, "sampling-floor": 0.5})
    names = sorted(set(metrics["method"]))
    costs = pd.DataFrame({"method": names, "parameters": 10, "train_seconds": 1.0, "adapt_seconds": 0.0})
    summary = summarise_times(metrics, costs, draws=200)
    verdict = give_time_verdict(summary, metrics, parse_time_study(CONFIG), 3, draws=200)
    assert verdict.headline.startswith("The flow beats")
    table = summary_tables(summary, choose_protagonists(summary, parse_time_study(CONFIG), 3))[0]
    assert [heading for heading, _ in table.columns] == ["W", "p", "Parameters", "Train, s"]
    assert [row.method.name for row in table.rows] == ["sampling-floor", "flow-ode", "pchip-bridged", "displacement"]


# --- figures of other kinds of studies ---


def distributions(times: int, dimensions: int, counts: bool) -> xr.DataArray:
    """Samples that drift, the prediction slightly off; a few held-out samples are missing."""
    random = np.random.default_rng(0)
    values = random.normal(10 + np.arange(times)[None, :, None, None], 3.0, (2, times, 80, dimensions))
    values = np.round(values.clip(0)) if counts else values
    values[0, :, 70:] = np.nan
    return xr.DataArray(
        values,
        dims=("source", "time", "sample", "dimension"),
        coords={
            "source": ["truth", "flow-ode"],
            "time": np.arange(times) * 0.5,
            "dimension": [f"gene {number}" for number in range(dimensions)],
            "observed": ("time", np.arange(times) % 4 == 0),
        },
    )


@pytest.mark.parametrize(
    ("times", "dimensions", "counts"), [(3, 2, False), (20, 8, False), (20, 4, True), (5, 1, True)]
)
def test_marginals_of_any_state_are_drawn(times, dimensions, counts):
    figure = plot_marginals(distributions(times, dimensions, counts), counts)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible() and axes.get_title(loc="left")]
    assert titles == [f"gene {number}" for number in range(min(6, dimensions))]
    assert render(figure).content


@pytest.mark.parametrize("counts", [True, False])
def test_joints_are_drawn_at_unobserved_times_over_a_landscape(counts):
    axis = np.arange(0.0, 40.0)
    landscape = Landscape(axis, axis, axis[:, None] + axis[None], "height")
    figure = plot_joints(distributions(20, 3, counts), counts, landscape)
    titles = [title for axes in figure.axes if (title := axes.get_title(loc="left"))]
    assert len(titles) == 5 and all("(unobserved)" in title for title in titles)
    assert render(figure).content


def test_errors_against_time_survive_a_method_that_diverges():
    metrics, _ = made_up({"flow-ode": 1.0, "displacement": np.inf}, splits=("unobserved", "held_out"))
    errors = metrics.assign(time=metrics["horizon"].astype(float))
    panels = [ErrorPanel("wasserstein", "W"), ErrorPanel("jsd", "JSD")]
    figure = plot_time_errors(errors, ["flow-ode", "displacement"], panels, np.array([0.0, 10.0]))
    assert figure.axes[0].get_ylim()[1] < 2
    assert "snapshot left out" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert render(figure).suffix == "svg"
