"""The report of a made-up study: complete, offline, and honest."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from blank_figures import leave_blank
from refusals import refused
from synthetic_study import (
    TRAINED_HORIZON,
    TYPICAL_ERRORS,
    build_report,
    environment_table,
    method_costs,
    observed,
    write_study,
)

from weightcast.core.plots.export import render
from weightcast.core.report.number_formats import number, p_value, seconds
from weightcast.environments.plots.codes import explained_parameters, plot_codes, plot_traversal
from weightcast.environments.plots.unknown import plot_unknown
from weightcast.environments.report.inputs import ResultFiles
from weightcast.runner import run_job

SECTIONS = (
    "verdict",
    "reading",
    "unknown",
    "summary",
    "horizon",
    "plane",
    "rollouts",
    "weights",
    "costs",
    "trainings",
    "config",
)
SECTIONS = (*SECTIONS, "novelty", "versions")


class Elements(HTMLParser):
    """Start tags of a page, as (tag, attributes)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def build(folder: Path, results: Path, table: Path) -> str:
    build_report(results, table, folder / "report.html", folder / "figures")
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Results folder and table of a whole study."""
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def built(study, tmp_path_factory):
    """Its page and the folder of its figures."""
    folder = tmp_path_factory.mktemp("report")
    return build(folder, *study), folder / "figures"


@pytest.fixture(scope="module")
def built_of_little(study, tmp_path_factory):
    """The page and its folder of figures again, where all that may be missing is missing, a word of the configuration
    looks like HTML, and a figure of an earlier run lies about."""
    folder = tmp_path_factory.mktemp("little")
    results = folder / "results"
    shutil.copytree(study[0], results)
    names = ("weight_map.csv", "rollouts.nc", "costs.csv", "training_curves.csv", "novelty.csv", "observed.nc")
    for name in names:
        (results / "report" / name).unlink()
    (results / "config.yaml").write_text((results / "config.yaml").read_text() + "note: <script>alert(1)</script>\n")
    (folder / "figures").mkdir()
    (folder / "figures" / "summary.png").write_bytes(b"old")
    return build(folder, results, study[1]), folder / "figures"


@pytest.fixture
def blank(monkeypatch):
    """Figures are not drawn: words are what the test reads."""
    leave_blank(monkeypatch)


@pytest.fixture
def copied(study, tmp_path):
    """The study again, to be damaged; without the rollouts, whose figures take longest."""
    shutil.copytree(study[0], tmp_path / "results")
    (tmp_path / "results" / "report" / "rollouts.nc").unlink()
    return tmp_path / "results", study[1]


# --- the page ---


def test_page_has_every_section(built):
    anchors = {attributes.get("id") for _, attributes in Elements(built[0]).found}
    assert set(SECTIONS) <= anchors
    assert "Left out" not in built[0]


def test_page_asks_nothing_of_the_network(built):
    page, _ = built
    references = [
        (tag, value)
        for tag, attributes in Elements(page).found
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href")
    ]
    assert references
    assert all(value.startswith(("data:", "#")) for _, value in references), references
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|https?://", page)
    assert ("link", "data:,") in references  # no request for a favicon either


def test_every_image_has_words_and_a_size(built):
    images = [attributes for tag, attributes in Elements(built[0]).found if tag == "img"]
    assert len(images) == 17
    assert all(len(image["alt"]) > 30 and image["width"] and image["height"] for image in images)


def test_tables_have_headers(built):
    elements = Elements(built[0]).found
    headers = [attributes for tag, attributes in elements if tag == "th"]
    assert headers and all(header.get("scope") in ("row", "col") for header in headers)


def test_page_marks_best_baseline_references_and_the_arm(built):
    for mark in ("best baseline", "reference", "chosen arm"):
        assert f'<span class="mark">{mark}</span>' in built[0]


def test_page_shows_configuration_versions_and_zoo_cost(built):
    page, _ = built
    assert "trained_frames: 31" in page
    assert "torch" in page and np.__version__ in page
    assert "96 experts from the erm base" in page


def test_figures_are_files_too(built):
    names = {path.name for path in built[1].iterdir()}
    assert {"summary.svg", "error_against_horizon.svg", "costs.svg", "weight_map.svg"} <= names
    assert len([name for name in names if name.startswith("rollout_")]) == 3


def test_same_results_give_the_same_page(study, built_of_little, tmp_path):
    """Figures among it, to the byte; those of rollouts, which take longest, are made of the same parts."""
    results = tmp_path / "results"
    shutil.copytree(built_of_little[1].parent / "results", results)
    assert build(tmp_path, results, study[1]) == built_of_little[0]


def test_page_says_which_weights_are_new(built):
    page, _ = built
    assert "<strong>Generated: end-to-end: new, and better than what can be had from experts.</strong>" in page
    assert "On the unseen environments its weights are farther from the nearest expert" in page
    assert "farther in 25 of 25, p &lt; 0.001" in page
    assert "Its error is 0.1" in page and "significantly below all of these" in page
    assert "<strong>Generated: paper: memorised.</strong>" in page
    assert "not significantly below that of the nearest expert, the most alike expert" in page
    assert page.count('<span class="mark">memorised</span>') == 2  # the nearest expert itself is one


def test_no_arm_no_word_of_it(blank, copied, tmp_path):
    results, table = copied
    config = results / "config.yaml"
    config.write_text(config.read_text().replace("{end-to-end: {}, paper: {}}", "{}").replace("context:", "other:"))
    (results / "report" / "novelty.csv").unlink()
    assert "memorised" not in build(tmp_path, results, table)


def test_names_are_escaped(built_of_little):
    page, _ = built_of_little
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


# --- an environment that nobody can name ---


def test_the_page_begins_with_what_to_use(blank, copied, tmp_path):
    results, table = copied
    answers = [("use", "Use <b>trees</b> (0.1)."), ("environment", "The environment matters.")]
    rows = [f"{question},{answer},trees,erm,0.5,0.4,0.6,0.01,9" for question, answer in answers]
    head = "question,answer,method,other,ratio,low,high,p,n"
    (results / "verdict.csv").write_text("\n".join([head, *rows, ""]))
    build_report(results, table, tmp_path / "report.html", tmp_path / "figures")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    places = [page.index(words) for words in ("<h2>Use &lt;b&gt;trees", "<p>The environment matters", "<h2>Generated")]
    assert places == sorted(places)
    assert page.index('id="verdict"') < places[0]


def test_what_nobody_can_name_comes_first(built):
    page, figures = built
    assert page.index('id="unknown"') < page.index('id="summary">Known parameters')
    for case in ("10 frames", "2 frames", "2 frames, 5 % noise"):
        assert f"<h3>{case}</h3>" in page
    names = {path.stem for path in figures.iterdir()}
    assert {"unknown_beta0.60-D0.2", "unknown_beta0.60-D0.8", "codes", "code_traversal"} <= names
    assert {"error_against_frames", "error_against_noise"} <= names


def test_advice_is_what_the_numbers_say(built):
    page = re.sub(r"\s+", " ", built[0])
    assert "Inside the range, from 10 frames, From frames: ensemble has the lowest median error (0.0550)" in page
    assert "knowing the parameters would help" in page  # the chosen arm inside; it sees more
    assert "frames serve better" in page
    assert "hold 87 % inside, 87 % outside (medians)" in page


def test_codes_that_are_linear_in_the_parameters_explain_them(built):
    shares = re.findall(r"<tr><th scope=\"row\">(beta|D)</th><td>([0-9.]+)</td></tr>", built[0])
    assert shares == [("beta", "1.00"), ("D", "1.00")]
    single = explained_parameters(observed(environment_table(), numbers=1), environment_table(), ["beta", "D"])
    assert single["beta"] == pytest.approx(1.0) and single["D"] < 0.2


def test_what_frames_leave_open_is_a_table_and_a_figure_and_so_is_where_the_encoder_looks(built):
    page, figures = built
    assert re.search(r"<th scope=\"row\">2 frames</th><td>0\.100? / 0\.100?</td>", page)
    assert "direction 1 (70 %)" in page and "D (97 %)" in page and "(off by 0.0500 / 0.0500)" in page
    names = {path.stem for path in figures.iterdir()}
    assert {"open_directions", "attention"} <= names
    assert "What the encoder looks at" in page and "2.4 times as much" in page


def test_states_are_drawn_as_lines_and_masked_components_as_nothing():
    states = observed(environment_table(), size=1).isel(environment=0)
    states["shown"][:, 1] = np.nan
    figure = plot_unknown(states["shown"], states["forecast"])
    assert [len(axes.collections) for axes in figure.axes] == [0, 1, 0, 1]  # bands beside what was seen
    render(figure)
    render(plot_traversal(observed(environment_table(), size=1, numbers=1)))
    render(plot_codes(observed(environment_table(), numbers=1), environment_table()[["id", "role"]], []))


def test_a_study_without_cases_has_no_such_section(blank, copied, tmp_path):
    results, table = copied
    for name in ("observed.nc", "observed_summary.csv"):
        (results / "report" / name).unlink()
    lines = (results / "config.yaml").read_text().splitlines()
    (results / "config.yaml").write_text("\n".join([*lines[:2], "evaluation: {bootstrap: 200}"]))
    page = build(tmp_path, results, table)
    assert 'id="unknown"' not in page and 'id="summary">Summary' in page and "Left out: report/obs" not in page


# --- what may be missing, and what may not ---


def test_missing_optional_inputs_are_named(built_of_little):
    page, _ = built_of_little
    for name in ("weight_map.csv", "rollouts.nc", "costs.csv", "training_curves.csv", "novelty.csv"):
        assert f"Left out: report/{name} was not computed for this study." in page
    assert "No forecasts are drawn: report/observed.nc was not computed for this study." in page


def test_a_figure_of_the_other_format_is_replaced(built_of_little):
    _, figures = built_of_little
    assert (figures / "summary.svg").exists()
    assert not (figures / "summary.png").exists()


def test_refuses_broken_inputs_and_writes_nothing(blank, copied, tmp_path):
    results, table = copied
    (results / "report" / "rollouts.nc").write_bytes(b"no NetCDF")
    with refused("rollouts.nc"):
        build(tmp_path, results, table)
    (results / "report" / "rollouts.nc").unlink()
    (results / "config.yaml").write_text("data: {}\n")
    with refused("config.yaml", "data.trained_frames"):
        build(tmp_path, results, table)
    broken = (results / "metrics.csv").read_text().replace(",rmse,", ",rmse,x", 1)
    (results / "metrics.csv").write_text(broken)
    with refused("metrics.csv", "line 2", "value"):
        build(tmp_path, results, table)
    (results / "metrics.csv").unlink()
    with refused("metrics.csv", "no such file"):
        build(tmp_path, results, table)
    assert not (tmp_path / "report.html").exists()
    assert not (tmp_path / "figures").exists()


def test_stages_read_and_write_files_and_refuse_what_is_missing(blank, copied, tmp_path):
    def run(stage: str, settings: dict[str, object], **files: dict[str, object]) -> None:
        run_job(json.dumps({"stage": stage, "settings": settings, **files}, default=str))

    results, table = copied
    method_costs().to_csv(tmp_path / "method_costs.csv", index=False)
    settings = {"trained_horizon": TRAINED_HORIZON, "bootstrap": 200, "adaptation_scores": False}
    run(
        "summarise",
        settings,
        inputs={"evaluations": [results / "metrics.csv"], "costs": tmp_path / "method_costs.csv"},
        outputs={"metrics": tmp_path / "metrics.csv", "summary": tmp_path / "summary.csv"},
    )
    assert (tmp_path / "summary.csv").read_bytes() == (results / "summary.csv").read_bytes()

    inputs = {name: path for name, path in vars(ResultFiles.within(results, table)).items() if path}
    inputs["observed_forecasts"] = inputs.pop("observed")
    outputs = {"page": tmp_path / "report.html", "figures": tmp_path / "figures"}
    run("write_report", {}, inputs=inputs, outputs=outputs)
    assert "<h1>synthetic</h1>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    with refused("nowhere.csv"):
        run("write_report", {}, inputs=inputs | {"metrics": tmp_path / "nowhere.csv"}, outputs=outputs)


# --- environments without parameters ---


def test_a_study_without_parameters_and_generator_has_a_report(blank, tmp_path):
    told = ("film", "film-matched", "hypernetwork", "conditioned", "nearest", "polynomial", "gaussian", "generator")
    results, table = write_study(
        tmp_path, {name: error for name, error in TYPICAL_ERRORS.items() if not any(word in name for word in told)}
    )
    environment_table()[["id", "role"]].to_csv(table, index=False)
    (results / "report" / "observed.nc").unlink()
    (results / "report" / "observed_summary.csv").unlink()
    (results / "report" / "novelty.csv").unlink()
    (results / "config.yaml").write_text("data: {trained_frames: 31}\nevaluation: {bootstrap: 200}\n")
    of_baselines = xr.load_dataset(results / "report" / "rollouts.nc").sel({"method": ["truth", "erm"]})
    of_baselines.isel(environment=[0]).to_netcdf(results / "report" / "rollouts.nc")
    page = build(tmp_path, results, table)
    anchors = {attributes.get("id") for _, attributes in Elements(page).found}
    assert set(SECTIONS) - {"unknown", "novelty"} <= anchors
    assert "Left out" not in page
    assert "No generator was evaluated" in page
    assert "none known" in page and "is what the table of environments says" in page
    assert "by parameters" not in page and "Colours in order" not in page
    assert "(interpolation): ERM" in page


# --- numbers ---


@pytest.mark.parametrize(
    ("value", "printed"),
    [(0.04567, "0.0457"), (1.17, "1.17"), (12.3456, "12.3"), (0.0, "0.00"), (0.00012, "1.20e-04"), (1234.6, "1235")],
)
def test_numbers_have_three_digits(value, printed):
    assert number(value) == printed


def test_special_numbers():
    assert (number(float("inf")), number(float("nan"))) == ("∞", "\N{EN DASH}")
    assert (p_value(0.0004), p_value(0.0312), p_value(0.41)) == ("< 0.001", "= 0.031", "= 0.41")
    assert (seconds(0.0), seconds(0.056), seconds(1234.5)) == ("0", "0.056", "1,234")
