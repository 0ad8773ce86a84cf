"""``weightcast init --kind time``: one file of samples at several times."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import yaml

from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.evolution.commands.sample_choices import Choices, are_whole, choose
from weightcast.evolution.commands.snapshot_words import describe_samples, describe_times, suggested_growth
from weightcast.evolution.commands.source_file import refuse_own_file
from weightcast.evolution.commands.study_template import fill_time_template
from weightcast.evolution.config.load import parse_time_study
from weightcast.samples.formats import recognise
from weightcast.samples.read import read_samples
from weightcast.samples.record import TimedSamples
from weightcast.samples.split import split_snapshots


def init_time(arguments: argparse.Namespace) -> list[str]:
    """Write the configuration.

    Returns:
        what was found and chosen, a line each.

    Raises:
        InputError: the data cannot be used. Nothing is written then.
    """
    format = recognise(arguments.data)
    settings = settings_of_words(arguments.settings or ())
    if arguments.time_column is not None:
        settings["time_column"] = arguments.time_column
    if arguments.times_order is not None:
        settings["time_labels"] = ordered_labels(arguments.times_order)
    if arguments.condition is not None:
        settings["condition"] = settings_of_words(arguments.condition, "--condition", "COLUMN=VALUE")
    samples = read_samples(arguments.data, format, settings, arguments.dimensions)
    choices = choose(samples, arguments.state)
    text = fill_time_template(arguments.name, arguments.data, format, samples, choices, arguments.output)
    study = parse_time_study(yaml.safe_load(text), arguments.output)
    refuse_own_file(arguments.data, study.snapshots, "--data")
    split_snapshots(samples, study.data, study.seed)  # refuses what a study could not run with
    with written_whole(arguments.output) as partial:
        partial.write_text(text, encoding="utf-8")
    return [f"found a file of the format {format}: {arguments.data}", *_report(samples, choices)]


def ordered_labels(words: Sequence[str]) -> dict[str, float]:
    """A time for each label: 0, 1, 2, ... as they stand, or what stands after ``=``; all in one way.

    Raises:
        InputError: a label stands twice or has no name, or times are given for some of them alone, or do not increase.
    """
    pairs = [word.rpartition("=") if "=" in word else (word, "", "") for word in words]
    given = [bool(equals) for _, equals, _ in pairs]
    expected = (
        "--times-order: found {!r}, expected LABEL ... or LABEL=TIME ..., each label once and times that increase"
    )
    try:
        times = [float(time) for _, _, time in pairs] if any(given) else [float(place) for place in range(len(pairs))]
    except ValueError:
        raise InputError(expected.format(" ".join(words))) from None
    labels = [label for label, _, _ in pairs]
    wrong = len(set(labels)) < len(labels) or not all(labels) or (any(given) and not all(given))
    if wrong or any(not before < after for before, after in pairwise(times)):
        raise InputError(expected.format(" ".join(words)))
    return dict(zip(labels, times, strict=True))


def settings_of_words(words: Sequence[str], option: str = "--settings", form: str = "KEY=VALUE") -> dict[str, Any]:
    """Values of ``KEY=VALUE``, as YAML reads them.

    Raises:
        InputError: a word has no key or no value.
    """
    settings = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InputError(f"{option}: found {word!r}, expected {form}")
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InputError(f"{option}: found {word!r}, expected a value in YAML") from None
    return settings


def _report(samples: TimedSamples, choices: Choices) -> list[str]:
    state = "real"
    if choices.states is None and samples.range[0] >= 0 and are_whole(samples):
        state += f" (whole numbers up to {samples.range[1]:g}; --state counts gives each a probability of its own)"
    if choices.states is not None:
        state = f"counts, states {choices.states} (0 to {choices.states - 1})"
    return [
        *describe_samples(samples),
        *(f"note: {note}" for note in samples.notes),
        f"state: {state}",
        describe_times(len(samples.times), choices.observed_every),
        f"held out for the evaluation: {choices.held_out:.0%}",
        *(f"note: {line}" for line in (suggested_growth(samples),) if line),
    ]
