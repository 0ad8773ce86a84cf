"""From a table of many places to a forecast, with its band, for a place never seen before, as a page that is run.

python docs/from_records.py            a quarter of an hour on one core; writes docs/from-records.md and its picture
python docs/from_records.py --quick    a small cut in two minutes, for the tests

The commands and the code on the page are those that were run, what stands below them is what they printed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from run_page import RunPage

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.errors import InputError
from weightcast.core.plots.style import FAMILY_COLOURS, house_style

ROOT = Path(__file__).parents[1]
PAGE = "from-records"
BEGINS = "2023-01-02"
SEEN, AHEAD = 12, 24
"""Hours of a new room that are seen, and that are forecast."""
NOISE = 0.15
"""Of a reading, and of an hour, in degrees."""


class Effort(NamedTuple):
    """How much is recorded and trained."""

    rooms: int
    days: int
    options: str
    held_out: int
    new_rooms: int


WHOLE = Effort(rooms=20, days=60, options="", held_out=6, new_rooms=20)
QUICK = Effort(rooms=8, days=30, options="--quick", held_out=2, new_rooms=2)


def record(days: int, seed: int, name: str) -> pd.DataFrame:
    """## The table

    Any table will do that has a row a place and time: stations, patients, machines ([own-data.md](own-data.md)). Here
    one is made, so that the page can be run anywhere: rooms of a cold store, whose temperature follows the weather. How
    well a room is insulated, how much sun falls on it and how hard its cooling works is another thing in each, and
    nobody has written it down.
    """
    random = np.random.default_rng([seed, 7])
    leak, sun, cooling = random.uniform((0.03, 0.05, 0.2), (0.3, 0.5, 1.0))
    hours = np.arange(24 * days)
    weather = np.random.default_rng(0)  # the same for all rooms
    outside = 14 + 6 * np.sin(2 * np.pi * (hours - 9) / 24) + 4 * np.cumsum(weather.normal(0, 0.15, len(hours)))
    outside = 14 + (outside - 14) * np.exp(-np.abs(outside - 14) / 60)
    temperature = np.empty(len(hours))
    temperature[0] = random.uniform(2, 12)
    for hour in hours[1:]:
        now = temperature[hour - 1]
        day = max(0.0, np.sin(2 * np.pi * (hour - 6) / 24))
        cooled = cooling / (1 + np.exp(-(now - 6)))
        temperature[hour] = now + leak * (outside[hour - 1] - now) + sun * day - cooled + random.normal(0, NOISE)
    dates = pd.date_range(BEGINS, periods=len(hours), freq="h")
    columns = {"temperature": temperature.round(2), "outside": outside.round(2)}
    return pd.DataFrame({"room": name, "time": dates} | columns)


def new_room(days: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is known of a new room: readings of some hours, and the weather's forecast for the day that follows; and
    what it then was."""
    whole = record(days, 1000 + seed, "new")
    begin = 24 * (days - 4) + 7 * seed % 48
    whole = whole.iloc[begin : begin + SEEN + AHEAD].drop(columns="room").reset_index(drop=True)
    known = whole.copy()
    known.loc[SEEN:, "temperature"] = np.nan
    return known, whole


def draw(known: pd.DataFrame, forecast: pd.DataFrame, truth: pd.DataFrame) -> Figure:
    """Readings seen, the band of 90 and of 50 percent, the median, and what really happened."""
    with house_style():
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        axes = figure.subplots()
        times, made = pd.to_datetime(forecast["time"]), FAMILY_COLOURS["generator"]
        for low, high, share, alpha in (("q05", "q95", "90 %", 0.18), ("q25", "q75", "50 %", 0.3)):
            axes.fill_between(
                times, forecast[f"temperature_{low}"], forecast[f"temperature_{high}"], color=made, alpha=alpha, lw=0,
                label=share,
            )  # fmt: skip
        axes.plot(times, forecast["temperature_q50"], color=made, lw=1.5, label="forecast, median")
        axes.plot(truth["time"], truth["temperature"], color=FAMILY_COLOURS["reference"], lw=1, label="truth")
        axes.plot(known["time"], known["temperature"], "o", ms=3.5, color=FAMILY_COLOURS["baseline"], label="seen")
        axes.set_ylabel("temperature")
        axes.legend(ncols=5, loc="upper left")
    return figure


def scores(page: RunPage, effort: Effort) -> str:
    """Error and coverage of the same two commands for further new rooms, beside what is known without any model."""
    errors, held, kept = [], [], []
    for number in range(1, effort.new_rooms + 1):
        known, truth = new_room(effort.days, number)
        known.to_csv(page.work / "other-room.csv", index=False)
        unseen = RunPage("unseen", page.folder, page.work)
        unseen.command("weightcast generate results/rooms --frames other-room.csv -n 64 -o other.safetensors")
        unseen.command(f"weightcast forecast other.safetensors --initial other-room.csv --steps {AHEAD} -o other.csv")
        found, true = pd.read_csv(page.work / "other.csv"), truth["temperature"].to_numpy()[SEEN:]
        errors.append(np.sqrt(np.mean((found["temperature_mean"] - true) ** 2)))
        kept.append(np.sqrt(np.mean((truth["temperature"][SEEN - 1] - true) ** 2)))
        held.append(np.mean((found["temperature_q05"] <= true) & (true <= found["temperature_q95"])))
    return (
        f"In {effort.new_rooms} further new rooms, by the same two commands: the mean is off by "
        f"{np.median(errors):.2f} degrees (root mean square, median room; the last reading, kept, by "
        f"{np.median(kept):.2f}), and the 90 % band holds {np.mean(held):.0%} of the truth."
    )


def _run(work: Path) -> None:
    """The whole study, in a process of its own, which becomes Snakemake's."""
    command = [sys.executable, "-m", "weightcast.cli.main", "run", "rooms.yaml"]
    if subprocess.run(command, cwd=work, check=False).returncode:
        raise InputError(f"{work / 'rooms.yaml'}: the study did not run to its end, see what it printed")


def write_page(page: RunPage, effort: Effort) -> None:
    """Run the sections in order."""
    page.say("""
        # From a table of places to a forecast

        You have a table of many places, and a new one of which a few readings are there. Nobody knows what makes the
        places differ. This page goes from the table to a forecast with its band for the new place; commands, numbers
        and picture are made by `python docs/from_records.py`.
    """)
    page.show(record)
    rooms = [record(effort.days, number, f"room-{number:02d}") for number in range(effort.rooms)]
    table = pd.concat(rooms)
    # As records are: some readings are missing, and in no order.
    random = np.random.default_rng(1)
    gaps = random.choice(len(table), len(table) // 200, replace=False)
    table.iloc[gaps, 2] = np.nan
    page.work.mkdir(parents=True, exist_ok=True)
    table.to_csv(page.work / "rooms.csv", index=False)
    first = table.iloc[:3].to_csv(index=False).strip()
    page.parts.append(f"```\n{first}\n...\n```")
    page.say("""
        ## The study

        `init` reads the table, says what it found, cuts windows without gaps, puts some rooms aside to test on, and
        writes a configuration. The weather outside is known beforehand, from a forecast: an input.
    """)
    page.command(
        "weightcast init --kind environments --data rooms.csv --environment room --state temperature \\\n"
        "  --inputs outside --calendar hour --name rooms -o rooms.yaml",
        f"--held-out-count {effort.held_out} {effort.options}",
    )
    page.say("""
        `weightcast check --config rooms.yaml` says what would run, and what it would cost. This runs it, from the table
        to `results/rooms/report.html`:

        ```
        $ weightcast run rooms.yaml
        ```

        Rooms that were put aside say what to use for a new one, which is the first line of the report and of
        `results/rooms/verdict.csv`:
    """)
    _run(page.work)
    verdict = pd.read_csv(page.work / "results" / "rooms" / "verdict.csv")
    page.parts += [f"> {answer}" for answer in verdict["answer"]]
    known, truth = new_room(effort.days, 0)
    known.to_csv(page.work / "new-room.csv", index=False)
    page.say(f"""
        ## A new room

        {SEEN} readings, and below them the weather of the next day, in one table:
    """)
    shown = known.iloc[[0, 1, SEEN - 1, SEEN, SEEN + 1]].to_csv(index=False).strip().splitlines()
    page.parts.append("```\n" + "\n".join([*shown[:3], "...", *shown[3:], "..."]) + "\n```")
    page.command("weightcast generate results/rooms --frames new-room.csv -n 64 -o ensemble.safetensors")
    page.command(f"weightcast forecast ensemble.safetensors --initial new-room.csv --steps {AHEAD} -o forecast.csv")
    forecast = pd.read_csv(page.work / "forecast.csv")
    lines = forecast.iloc[:2].round(3).to_csv(index=False).strip()
    page.parts.append(f"```\n{lines}\n...\n```")
    page.draw("forecast", draw(known, forecast, truth), "Readings seen, forecast with its band, and truth")
    page.say("## How far to believe it")
    page.say(scores(page, effort))
    page.say("""
        The table is made, and the rooms differ much: this page shows the way, and is no evidence. What records of real
        places gave is in [real-places.md](real-places.md); your own study says it of yours, in its verdict.
    """)
    page.write()


@exit_on_input_error()
def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="folder; default: docs")
    parser.add_argument("--work", type=Path, help="folder of the study; default: a temporary one")
    parser.add_argument("--quick", action="store_true", help="a small cut of the study")
    chosen = parser.parse_args(arguments)
    effort = QUICK if chosen.quick else WHOLE
    chosen.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        write_page(RunPage(PAGE, chosen.output, chosen.work or Path(temporary)), effort)


if __name__ == "__main__":
    main()
