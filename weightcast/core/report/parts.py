"""What reports are made of, whatever the study: figures with their words, sections, the template, files."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from weightcast.core.files import written_whole
from weightcast.core.plots.export import RenderedFigure
from weightcast.core.report.number_formats import count, seconds


@dataclass(frozen=True)
class ReportFigure:
    """A figure as it stands in the page and beside it.

    Attributes:
        name: of the file, without suffix.
        alt: what a reader who cannot see it should know.
        caption: below it.
        image: the rendered figure.
    """

    name: str
    alt: str
    caption: str
    image: RenderedFigure

    @property
    def file_name(self) -> str:
        """Name of the file."""
        return f"{self.name}.{self.image.suffix}"

    @property
    def data_uri(self) -> str:
        """The figure as the source of an image, with nothing left to be fetched."""
        return f"data:{self.image.media_type};base64,{base64.b64encode(self.image.content).decode()}"


@dataclass(frozen=True)
class FigureFolder:
    """The figures of a report as files of one folder."""

    figures: Sequence[ReportFigure]

    def save(self, path: str | Path) -> None:
        """Write them; one of the same name in the other format is removed."""
        for figure in self.figures:
            _replace_figure(figure, Path(path))


@dataclass(frozen=True)
class Section:
    """A section of figures: its anchor, title and figures, or why there are none."""

    anchor: str
    title: str
    figures: list[ReportFigure]
    absence: str = ""


def fill_template(name: str, **values: Any) -> str:
    """A template of this folder as text; a value that it lacks is an error of the program."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parents[2]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template(name).render(**values)


def write_report(page: str, figures: Iterable[ReportFigure], output_html: Path, figures_directory: Path) -> None:
    """Write the figures, then the page."""
    for figure in figures:
        _replace_figure(figure, figures_directory)
    with written_whole(output_html) as partial:
        partial.write_text(page, encoding="utf-8")


def stage_rows(costs: pd.DataFrame | None) -> list[tuple[str, str, str, str]]:
    """Stage, artifacts, networks trained and seconds; the last row is the total."""
    if costs is None:
        return []
    rows = [(str(stage), of_stage) for stage, of_stage in costs.groupby("stage", sort=False)]
    return [
        (stage, count(len(part)), count(part["members"].sum()), seconds(part["train_seconds"].sum()))
        for stage, part in [*rows, ("total", costs)]
    ]


def _replace_figure(figure: ReportFigure, folder: Path) -> None:
    """Write a figure; an earlier one of the same name in the other format is removed."""
    with written_whole(folder / figure.file_name) as partial:
        partial.write_bytes(figure.image.content)
    other = "png" if figure.image.suffix == "svg" else "svg"
    (folder / f"{figure.name}.{other}").unlink(missing_ok=True)
