"""benchmarks/: turns, rows and counts mean what they say, and rivals compute the same. How fast is not tested."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
NAMES = (
    "side_by_side", "run", "growth_plot", "roofline", "plain_networks", "stacked_training", "flow_steps", "whole_run",
    "write_benchmarks",
)  # fmt: skip


@pytest.fixture(scope="module")
def kit() -> Iterator[SimpleNamespace]:
    """The modules by name, as they import each other when one of them is a program."""
    folders = [str(ROOT / "benchmarks"), str(ROOT / "docs")]
    sys.path[:0] = folders
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in NAMES})
    finally:
        for folder in folders:
            sys.path.remove(folder)


class Clock:
    """Stands still but for what ways say that they take."""

    def __init__(self) -> None:
        self.now = 0.0
        self.called: list[str] = []

    def __call__(self) -> float:
        return self.now

    def way(self, name: str, *seconds: float) -> Any:
        """A way that takes these seconds, call after call, the last ones again and again."""
        left = list(seconds)

        def call() -> None:
            self.called.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return call


# --- turns


def test_ways_take_turns_in_another_order_each_round(kit: SimpleNamespace) -> None:
    clock = Clock()
    ways = {name: clock.way(name, 1.0) for name in "abc"}
    kit.side_by_side.take_turns(ways, kit.side_by_side.Effort(rounds=3), clock)
    assert "".join(clock.called) == "abc" + "abc" + "bca" + "cab"  # the first calls warm up


def test_ratios_are_of_the_same_round_and_the_first_call_does_not_count(kit: SimpleNamespace) -> None:
    clock = Clock()
    ways = {"a": clock.way("a", 9.0, 1.0, 2.0, 4.0), "b": clock.way("b", 9.0, 3.0, 8.0, 4.0)}
    turns = kit.side_by_side.take_turns(ways, kit.side_by_side.Effort(rounds=3), clock)
    assert turns.ratios("b", over="a") == [3.0, 4.0, 1.0]
    rows = {row.measure: row for row in turns.rows("name", "case", 5, unit="ms", per=10)}
    assert list(rows) == ["a, ms", "b, ms", "b / a"]
    assert (rows["a, ms"].value, rows["a, ms"].low, rows["a, ms"].high) == (200, 100, 400)
    assert (rows["b / a"].value, rows["b / a"].low, rows["b / a"].high) == (3, 1, 4)


def test_what_is_quick_is_repeated_within_its_turn(kit: SimpleNamespace) -> None:
    clock = Clock()
    ways = {"long": clock.way("l", 1.0), "short": clock.way("s", kit.side_by_side.SHORTEST / 10)}
    turns = kit.side_by_side.take_turns(ways, kit.side_by_side.Effort(rounds=2), clock)
    assert clock.called.count("s") == 2 + 2 * 10
    assert turns.seconds["short"] == pytest.approx([kit.side_by_side.SHORTEST / 10] * 2)


def test_a_part_counts_as_the_whole(kit: SimpleNamespace) -> None:
    clock = Clock()
    ways = {"all": clock.way("a", 1.0), "loop": clock.way("l", 0.5)}
    turns = kit.side_by_side.take_turns(ways, kit.side_by_side.Effort(rounds=2), clock, parts={"loop": 256.0})
    assert turns.ratios("loop", over="all") == [128.0, 128.0]


def test_turns_end_when_their_seconds_are_spent_but_there_are_two_rounds(kit: SimpleNamespace) -> None:
    effort = kit.side_by_side.Effort(rounds=50, seconds=0.0)
    assert len(kit.side_by_side.take_turns({"a": lambda: None}, effort).seconds["a"]) == 2


# --- the run


def fake(kit: SimpleNamespace, fails: bool = False) -> ModuleType:
    """A benchmark with a growing case, one number that is missing, and an error at the end if it is to fail."""
    Row, Spread = kit.side_by_side.Row, kit.side_by_side.Spread

    def rows(effort: Any) -> Iterator[Any]:
        for size in (10, 100):
            yield Row.of("fake", "members", size, "stacked, ms", Spread(size / 2, size / 4, float(size)))
        yield Row.of("fake", "members", 10, "loop / stacked", Spread(3.0, 2.0, 4.0))
        yield Row.skipped("fake", "members", 1000, "no memory, here")
        if fails:
            raise RuntimeError("out of\nluck")

    module = ModuleType("fake_benchmark")
    module.rows = rows  # type: ignore[attr-defined]
    return module


@pytest.fixture
def two_benchmarks(kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fake_benchmark", fake(kit))
    monkeypatch.setitem(sys.modules, "failing_benchmark", fake(kit, fails=True))
    monkeypatch.setattr(kit.run, "BENCHMARKS", {"failing": "failing_benchmark", "fake": "fake_benchmark"})


@pytest.mark.usefixtures("two_benchmarks")
def test_a_run_writes_table_machine_and_picture(kit: SimpleNamespace, tmp_path: Path) -> None:
    effort = kit.side_by_side.QUICK
    rows = kit.run.run(["fake"], effort, tmp_path)
    assert not kit.run.failed(rows)
    read, machine = kit.side_by_side.read_table(tmp_path / "benchmarks.csv")
    assert [str(row) for row in read] == [str(row) for row in rows]
    assert {"processor", "cores", "memory", "torch", "torch threads", "measured, fake"} <= machine.keys()
    header = next(line for line in (tmp_path / "benchmarks.csv").read_text().splitlines() if line[0] != "#")
    assert header == "benchmark,case,size,measure,value,low,high"
    assert (tmp_path / "growth.svg").read_text().startswith("<?xml")
    assert list(kit.growth_plot.panels_of(rows)) == [("fake", "members", "ms")]


@pytest.mark.usefixtures("two_benchmarks")
def test_a_benchmark_that_fails_says_so_and_keeps_what_it_measured(kit: SimpleNamespace) -> None:
    rows = list(kit.run.measured("failing", kit.side_by_side.QUICK))
    assert kit.run.failed(rows)
    assert len(rows) == 5
    assert rows[-1].measure == "not measured: failed: out of luck"
    assert math.isnan(rows[-1].value)


@pytest.mark.usefixtures("two_benchmarks")
def test_rows_of_other_benchmarks_stay(kit: SimpleNamespace, tmp_path: Path) -> None:
    other = kit.side_by_side.Row.of("failing", "case", 1, "a, s", kit.side_by_side.Spread.exact(1.0))
    kit.side_by_side.write_table(tmp_path / "benchmarks.csv", [other], {"measured, failing": "before"})
    for _ in range(2):
        rows = kit.run.run(["fake"], kit.side_by_side.QUICK, tmp_path)
        assert [row.benchmark for row in rows] == ["failing", *["fake"] * 4]
    assert kit.side_by_side.read_table(tmp_path / "benchmarks.csv")[1]["measured, failing"] == "before"


@pytest.mark.usefixtures("two_benchmarks")
def test_the_page_shows_ratios_ranges_and_what_is_missing(
    kit: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.run.run(["fake"], kit.side_by_side.QUICK, tmp_path)
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- {name}:begin -->\nold\n<!-- {name}:end -->\n" for name in ("machine", "tables")))
    monkeypatch.setattr(kit.write_benchmarks, "PAGE", page)
    monkeypatch.setattr(kit.write_benchmarks, "PICTURE", tmp_path / "page.svg")
    monkeypatch.setattr(sys, "argv", ["write_benchmarks.py", str(tmp_path)])
    kit.write_benchmarks.main()
    lines = page.read_text().splitlines()
    assert "| members | stacked, ms | loop / stacked |" in lines
    assert "| 10 | 5.00 (2.50 to 10.0) | 3.00 (2.00 to 4.00) |" in lines
    assert "| 100 | 50.0 (25.0 to 100) |  |" in lines
    assert "- members, 1,000: not measured: no memory, here." in lines
    assert "old" not in lines
    assert (tmp_path / "page.svg").is_file()


def test_every_benchmark_has_rows_and_a_description(kit: SimpleNamespace) -> None:
    for name, module in kit.run.BENCHMARKS.items():
        found = importlib.import_module(module)
        assert name == found.NAME
        assert callable(found.rows)
        assert found.__doc__


# --- counts, and rivals that compute the same


def test_traffic_is_what_operations_read_and_write(kit: SimpleNamespace) -> None:
    numbers, row = torch.ones(40, 25), torch.ones(25)

    def moved(call: Any) -> int:
        with kit.roofline.TrafficCounter() as traffic:
            call()
        return traffic.bytes

    assert moved(lambda: numbers + numbers) == 3 * 4000
    assert moved(lambda: numbers + row.expand(40, 25)) == 2 * 4000 + 100
    assert moved(lambda: numbers.t().unsqueeze(0)[:, :5]) == 0
    counted = kit.roofline.count(lambda: numbers @ numbers.t())
    assert counted.operations == 2 * 40 * 25 * 40
    assert counted.bytes == 2 * 4000 + 4 * 40 * 40


def test_the_bound_is_the_longer_of_both(kit: SimpleNamespace) -> None:
    roofline = kit.roofline
    copied, multiplied = 2 * 4 * roofline.COPIED, 2 * roofline.SIDE**3
    turns = kit.side_by_side.Turns({"step": [6.0, 8.0], roofline.COPY: [1.0, 2.0], roofline.PRODUCT: [1.0, 1.0]})
    counted = roofline.Counted(operations=3 * multiplied, bytes=2 * copied)
    rows = {row.measure: row for row in roofline.roofline_rows(turns, "step", counted, 2, "b", "c", 1)}
    assert (rows["bound by memory, ms"].low, rows["bound by memory, ms"].high) == (2000, 4000)
    assert rows["bound by products, ms"].value == 3000
    assert (rows["step / roofline"].low, rows["step / roofline"].high) == (1.0, 1.0)


def test_the_smallest_stacks_of_experts(kit: SimpleNamespace) -> None:
    """The real benchmark, with all that it measures but what must be compiled."""
    experts = kit.stacked_training
    case = replace(experts.CASES[0], compiled=())
    rows = list(experts.case_rows(case, (1, 2), replace(kit.side_by_side.QUICK, rounds=2, seconds=0.0)))
    for members in (1, 2):
        own = {row.measure: row for row in rows if row.size == members}
        assert {"stacked, ms", "one by one / stacked", "plain loop / stacked", "stacked / roofline"} <= own.keys()
        assert all(0 < row.low <= row.value <= row.high for row in own.values())
    one, two = (row.value for row in rows if row.measure.startswith("multiply-adds"))
    assert two == 2 * one


def test_stacks_that_there_is_no_memory_or_time_for_say_so(
    kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    experts, effort = kit.stacked_training, replace(kit.side_by_side.QUICK, seconds=2.0)
    (row,) = experts.case_rows(experts.CASES[1], (1024,), effort)
    assert row.measure.startswith("not measured: a stack of ")
    assert experts._extended({1: 5.0}, 1024) == 0
    assert experts._extended({1: 5.0, 8: 6.0, 64: 13.0}, 256) == pytest.approx(13 + 192 * 7 / 56)


def test_the_plain_network_is_the_same_architecture(kit: SimpleNamespace) -> None:
    stack = kit.stacked_training.Stack(kit.stacked_training.CASES[0], 1)
    plain = kit.plain_networks.plain_predictor(stack.case.architecture)
    numbers = sum(one.numel() * (2 if one.is_complex() else 1) for one in plain.parameters())
    assert numbers == stack.predictor.graph.num_parameters
    frames = torch.ones(2, 2, *stack.case.grid)
    assert plain(frames).shape == frames.shape


@pytest.mark.parametrize("dynamics", ["ode", "cde"])
def test_the_library_alone_finds_the_flows_path(kit: SimpleNamespace, dynamics: Any) -> None:
    flow = kit.flow_steps.flow_of(dynamics, {"start": "rest"}, kit.flow_steps.anchors_of(5))
    start = flow.standardise(flow.start)
    with torch.no_grad():
        expected = flow.integrate(start[None], flow.grid[None])[:, 0]
        found = kit.flow_steps.library_path(flow, start)
    assert found.shape == expected.shape
    assert float((expected[-1] - start).abs().max()) > 1e-3  # it moves
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_jax_trains_to_the_same_weights(kit: SimpleNamespace) -> None:
    pytest.importorskip("jax", reason="JAX is a rival of the benchmark alone, no dependency")
    from weightcast.core.run import Run

    case = replace(kit.stacked_training.CASES[2], steps=5)
    stack = kit.stacked_training.Stack(case, 3)
    weights = stack.in_jax()()
    found = stack.predictor.graph.flatten({name: torch.tensor(value.tolist()) for name, value in weights.items()})
    expected = stack.train(stack.predictor, Run())
    assert float((expected - stack.start).abs().max()) > 1e-4  # it learns
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_processor_seconds_of_a_program_and_of_what_it_started(kit: SimpleNamespace) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\n"
    own = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\n"
    for code, place in ((burn, 0), (own, 1)):
        started = subprocess.Popen([sys.executable, "-I", "-S", "-c", code])
        os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
        seconds = kit.whole_run.processor_seconds(started.pid)
        assert started.wait() == 0
        assert seconds[place] >= 0.25 > seconds[1 - place]
