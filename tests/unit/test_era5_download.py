from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from era5_files import START, field, write_new, write_old, write_zarr, write_zip
from refusals import refused

from weightcast.core.environment_table import Environment, read_environments
from weightcast.era5 import climate_data_store, zarr_store
from weightcast.era5.download import Retrieve, obtain
from weightcast.era5.read import read_fields
from weightcast.era5.receipt import generation_of, write_receipt
from weightcast.era5.region import Area, region_around
from weightcast.era5.request import DATASET, Request, plan_downloads, requests_of
from weightcast.era5.settings import ERA5Settings

ROOT = Path(__file__).parents[2]
LATITUDE, LONGITUDE = np.arange(51, 49.9, -0.25), np.arange(5, 6.1, 0.25)
SIX_HOURLY = START + np.arange(0, 31 * 24, 6)
REQUEST = Request(
    "2020-01",
    Area(50.5, 5.0, 50.0, 5.5),
    0.25,
    ("u10", "v10"),
    ("10m_u_component_of_wind", "10m_v_component_of_wind"),
    (0, 6, 12, 18),
)
PLACE = "50.5N_5E_50N_5.5E"


def write_month(path: Path, names: tuple[str, ...] = ("u10", "v10"), hours: np.ndarray = SIX_HOURLY, **further) -> Path:
    further = {"latitude": LATITUDE, "longitude": LONGITUDE, **further}
    return write_new(path, names, hours, **further)


class Store:
    """A client that does what it is told in place of downloading."""

    def __init__(self, act: Callable[[Path], object]) -> None:
        self.act = act
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def retrieve(self, name: str, request: dict[str, Any], target: str) -> None:
        self.asked.append((name, request))
        self.act(Path(target))

    def __call__(self) -> Retrieve:
        return climate_data_store.retrieve_from(self)


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, hidden files too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- what is asked for


def test_a_request_in_the_words_of_the_store() -> None:
    assert REQUEST.for_climate_data_store() == {
        "product_type": ["reanalysis"],
        "variable": ["10m_u_component_of_wind", "10m_v_component_of_wind"],
        "year": ["2020"],
        "month": ["01"],
        "day": [f"{day:02d}" for day in range(1, 32)],
        "time": ["00:00", "06:00", "12:00", "18:00"],
        "area": [50.5, 5.0, 50.0, 5.5],
        "data_format": "netcdf",
        "download_format": "unarchived",
    }
    np.testing.assert_array_equal(REQUEST.times, SIX_HOURLY)
    with refused("month", "2020-1"):
        Request("2020-1", REQUEST.area, 0.25, (), (), ())


def test_a_request_a_month_and_region() -> None:
    settings = ERA5Settings(periods=["2018-12/2020-02"], frame_hours=3, region_size=2.0)
    row = Environment("a", {"latitude": 10.0, "longitude": 180.0, "month": 1.0}, "visible")
    requests = requests_of(row, settings)
    assert [request.month for request in requests] == [
        "2018-12", "2019-01", "2019-02", "2019-12", "2020-01", "2020-02",
    ]  # fmt: skip
    assert requests[0].hours == tuple(range(0, 24, 3))
    assert requests[0].area == Area(10.5, 179, 9, 180.5)
    assert requests_of(row, ERA5Settings(frame_hours=5, region_size=2.0))[0].hours == tuple(range(24))
    same_place = Environment("b", {"latitude": 10.1, "longitude": -180.0, "month": 2.0}, "visible")
    planned = plan_downloads([row, same_place], settings)
    assert len(planned) == 7  # their seasons share all months but December and March
    assert {area for area, _ in planned} == {"10.5N_179E_9N_180.5E"}


def test_the_shipped_table() -> None:
    table = read_environments(ROOT / "data" / "era5.csv")
    assert (len(table.visible), len(table.interpolation), len(table.extrapolation)) == (24, 6, 4)
    visible = table.parameter_array([row.id for row in table.visible])
    for row in table.unseen:
        values = table.parameter_array([row.id])[0]
        inside = ((values >= visible.min(axis=0)) & (values <= visible.max(axis=0))).all()
        assert inside == (row.role == "interpolation"), row.id
    settings = ERA5Settings()
    regions = {region_around(row, settings.region_size, settings.spacing).area for row in table}
    points = [{(y, x % 360) for y in area.points(0.5).latitude for x in area.points(0.5).longitude} for area in regions]
    assert len(set.union(*points)) == 16 * 32 * 32  # none overlaps another
    assert len(plan_downloads(list(table), settings)) == 16 * 12 + 2 * 6


# --- downloads by a client


def test_a_download_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    store = Store(write_month)
    files, downloaded = obtain(REQUEST, tmp_path, store)
    assert downloaded
    assert files == [tmp_path / PLACE / "2020-01.nc"]
    assert list(files_of(tmp_path)) == [f"{PLACE}/2020-01.nc"]
    assert store.asked == [(DATASET, REQUEST.for_climate_data_store())]
    kept = files[0].stat()
    assert obtain(REQUEST, tmp_path, Store(lambda target: pytest.fail("asked again"))) == (files, False)
    assert files[0].stat() == kept


def test_an_archive_is_called_one(tmp_path: Path) -> None:
    request = Request("2020-01", REQUEST.area, 0.25, ("u10", "tp"), ("a", "b"), (0, 12))
    store = Store(lambda target: write_zip(target, ("u10", "tp"), SIX_HOURLY, latitude=LATITUDE, longitude=LONGITUDE))
    files, _ = obtain(request, tmp_path, store)
    assert [path.name for path in files] == ["2020-01.zip"]


def test_after_an_interruption_the_rest_is_downloaded(tmp_path: Path) -> None:
    def interrupted(target: Path) -> None:
        target.write_bytes(write_month(target.with_name(".whole")).read_bytes()[:500])
        target.with_name(".whole").unlink()
        raise KeyboardInterrupt

    february = Request("2020-02", REQUEST.area, 0.25, ("u10",), ("a",), (0,))
    obtain(REQUEST, tmp_path, Store(write_month))
    before = files_of(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        obtain(february, tmp_path, Store(interrupted))
    assert files_of(tmp_path) == before  # no half a file
    # A process that was killed leaves its temporary file, which nobody takes for data.
    (tmp_path / PLACE / ".2020-02.1.partial").write_bytes(b"CDF\x01")
    second = Store(lambda target: write_month(target, ("u10",), START + 31 * 24 + np.arange(0, 29 * 24, 24)))
    for request in (REQUEST, february):
        obtain(request, tmp_path, second)
    assert len(second.asked) == 1
    assert set(files_of(tmp_path)) == {*before, f"{PLACE}/2020-02.nc", f"{PLACE}/.2020-02.1.partial"}


def write_half(target: Path) -> None:
    target.write_bytes(write_month(target).read_bytes()[:-2000])


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (write_half, ["whole"]),
        (lambda target: target.write_text("<html>Bad gateway</html>"), ["web page"]),
        (lambda target: target.write_bytes(b""), ["empty"]),
        (lambda target: None, ["no file"]),
        (lambda target: write_month(target, ("u10",)), ["v10", "2020-01-01 00:00", "124 of 124"]),
        (lambda target: write_month(target, hours=SIX_HOURLY[:-3]), ["u10", "2020-01-31 06:00", "3 of 124"]),
        (lambda target: write_month(target, latitude=LATITUDE - 10), ["124 of 124", PLACE]),
        (lambda target: write_month(target, units={"u10": "K", "v10": "m s**-1"}), ["u10", "'K'"]),
        (
            lambda target: write_month(target, values={name: np.full((124, 5, 5), np.nan) for name in ("u10", "v10")}),
            ["no values", "2020-01-01 00:00", "124 such"],
        ),
    ],
)
def test_what_is_not_what_was_asked_for_is_refused(tmp_path: Path, act: Callable, words: list[str]) -> None:
    with refused("2020-01", *words):
        obtain(REQUEST, tmp_path, Store(act))
    assert files_of(tmp_path) == {}


class HTTPError(OSError):
    """As requests': a file error by its base, with the answer of the server."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.response = SimpleNamespace(status_code=status)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            HTTPError(401, "401 Client Error: Unauthorized\nAuthentication failed"),
            ["key", "~/.cdsapirc", "docs/era5.md"],
        ),
        (
            HTTPError(403, "403 Client Error\nrequired licences not accepted; [{'id': 'cc-by', 'revision': 1}]"),
            ["licence", "reanalysis-era5-single-levels?tab=download#manage-licences"],
        ),
        (HTTPError(400, "cost limits exceeded\nYour request is too large"), ["failed request", "too large"]),
        (RuntimeError("The job has failed\nMARS returned no data"), ["failed request", "MARS returned no data"]),
        (ConnectionError("Name or service not known"), ["cannot be reached", "network"]),
        (Exception(""), ["failed request", "Exception"]),
    ],
)
def test_failures_say_what_to_do(tmp_path: Path, error: Exception, words: list[str]) -> None:
    def fail(target: Path) -> None:
        target.write_bytes(b"half")
        raise error

    with refused("Climate Data Store", *words):
        obtain(REQUEST, tmp_path, Store(fail))
    assert files_of(tmp_path) == {}


# --- files of the user's own


def test_files_of_the_users_own_are_taken_whatever_they_are_called(tmp_path: Path) -> None:
    write_old(tmp_path / "wind u", ["u10"], START + np.arange(31 * 24), LATITUDE, LONGITUDE)
    (tmp_path / PLACE).mkdir()
    write_month(tmp_path / PLACE / "v.nc", ("v10",), SIX_HOURLY[:60])
    write_month(tmp_path / PLACE / "w.nc", ("v10",), SIX_HOURLY[60:])
    write_month(tmp_path / "another-year.nc", hours=SIX_HOURLY + 366 * 24)
    before = files_of(tmp_path)
    files, downloaded = obtain(REQUEST, tmp_path, lambda: pytest.fail("no client is needed"))
    assert not downloaded
    assert {path.name for path in files} == {"wind u", "v.nc", "w.nc"}
    assert files_of(tmp_path) == before


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / PLACE).mkdir()
    write_month(tmp_path / PLACE / "2020-01.nc", ("u10",))
    before = files_of(tmp_path)
    with refused(f"{PLACE}/2020-01.nc", "v10", "remove it"):
        obtain(REQUEST, tmp_path, Store(write_month))
    assert files_of(tmp_path) == before


def test_a_broken_file_is_refused_before_anything_is_downloaded(tmp_path: Path) -> None:
    (tmp_path / PLACE).mkdir()
    (tmp_path / PLACE / "2020-01.nc").write_text("<html>")
    with refused("2020-01.nc", "web page"):
        obtain(REQUEST, tmp_path, lambda: pytest.fail("no client is needed"))


# --- receipts


def test_a_receipt_tells_whether_its_files_are_still_the_same(tmp_path: Path) -> None:
    file, receipt = write_month(tmp_path / "a.nc"), tmp_path / "receipts" / "2020-01.json"
    assert generation_of(receipt) == 0
    write_receipt(receipt, REQUEST, [file], 0)
    assert generation_of(receipt) == 0
    noted = json.loads(receipt.read_text())
    assert noted["files"][0]["bytes"] == file.stat().st_size
    assert len(noted["files"][0]["sha256"]) == 64

    write_month(file, hours=SIX_HOURLY + 24)
    assert generation_of(receipt) == 1
    write_receipt(receipt, REQUEST, [file], 1)
    assert generation_of(receipt) == 1  # planned as it was made: nothing to do
    file.unlink()
    assert generation_of(receipt) == 2
    receipt.write_text("half a rec")
    assert generation_of(receipt) == 0


# --- the client


def fake_cdsapi(monkeypatch: pytest.MonkeyPatch, key: str | None, reached: bool = True) -> list[dict[str, Any]]:
    """Put modules in the place of cdsapi and requests; returns what the client is made with."""
    made: list[dict[str, Any]] = []

    def configured(*_: object) -> tuple[str, str, bool]:
        if key is None:
            raise Exception("Missing/incomplete configuration file: /home/me/.cdsapirc")
        return climate_data_store.URL, key, True

    def head(url: str, **_: object) -> None:
        if not reached:
            raise ConnectionError(f"{url}: Name or service not known")

    modules = {name: ModuleType(name) for name in ("cdsapi", "cdsapi.api", "requests")}
    modules["cdsapi.api"].Client = lambda *_, **settings: made.append(settings)  # type: ignore[attr-defined]
    modules["cdsapi.api"].get_url_key_verify = configured  # type: ignore[attr-defined]
    modules["requests"].head = head  # type: ignore[attr-defined]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(climate_data_store, "find_spec", lambda name: object())
    return made


def test_a_client_does_not_wait_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fake_cdsapi(monkeypatch, "a-key")
    climate_data_store.open_client()
    (settings,) = made
    assert settings["retry_max"] * settings["sleep_max"] <= 1800


@pytest.mark.parametrize(
    ("key", "reached", "words"),
    [
        (None, True, ["no key", "/home/me/.cdsapirc", "how-to-api"]),
        ("123:abc", True, ["<UID>:<key>", "~/.cdsapirc"]),
        ("abc", False, ["cannot be reached", "network"]),
    ],
)
def test_without_key_or_network_nothing_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str | None, reached: bool, words: list[str]
) -> None:
    made = fake_cdsapi(monkeypatch, key, reached)
    with refused("Climate Data Store", *words):
        obtain(REQUEST, tmp_path / "new", lambda: climate_data_store.retrieve_from(climate_data_store.open_client()))
    assert not made
    assert not (tmp_path / "new").exists()


def test_without_cdsapi_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(climate_data_store, "find_spec", lambda name: None)
    with refused("cdsapi", "pip install 'aiohttp"):
        climate_data_store.open_client()


@pytest.mark.skipif(find_spec("cdsapi") is None, reason="needs cdsapi")
def test_the_real_client_without_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CDSAPI_URL", "CDSAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "absent"))
    with refused("no key", tmp_path / "absent"):
        climate_data_store.open_client()
    (tmp_path / "absent").write_text("url: https://cds.climate.copernicus.eu/api\nkey: 1:abc\n")
    with refused("<UID>:<key>"):
        climate_data_store.open_client()


# --- the script


def run_script(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "download_era5.py"), *arguments]
    absent = {"CDSAPI_RC": str(folder / "absent"), "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CDSAPI")} | absent
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_script(tmp_path: Path) -> None:
    write_month(tmp_path / "mine.nc")
    asked = ("--area", "50.5", "5", "50", "5.5", "--hours", "0", "6", "12", "18", "--directory", ".", "--receipt")
    done = run_script("--month", "2020-01", *asked, "receipt.json", "--generation", "3", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "there already: mine.nc" in done.stderr
    assert json.loads((tmp_path / "receipt.json").read_text())["generation"] == 3

    before = files_of(tmp_path)
    failed = run_script("--month", "2020-02", *asked, "other.json", folder=tmp_path)
    assert failed.returncode == 1
    assert failed.stderr.startswith("weightcast: error: Climate Data Store: found no ")
    assert failed.stderr.count("\n") == 1
    assert files_of(tmp_path) == before


# --- a Zarr store

needs_zarr = pytest.mark.skipif(find_spec("zarr") is None, reason="needs zarr")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """January 2020, six-hourly; final until the 20th."""
    path = tmp_path_factory.mktemp("store") / "era5.zarr"
    values = {name: field(name, SIX_HOURLY, LATITUDE, LONGITUDE) for name in ("u10", "v10")}
    values["v10"][100] = np.nan  # an hour that the store does not have yet
    return write_zarr(
        path, ["u10", "v10"], SIX_HOURLY, LATITUDE, LONGITUDE, values=values,
        attributes={"valid_time_start": "2020-01-01", "valid_time_stop": "2020-01-20"},
    )  # fmt: skip


def from_store(store: Path, request: Request, folder: Path) -> list[Path]:
    with zarr_store.open_store(str(store)) as source:
        return obtain(request, folder, lambda: zarr_store.retrieve_from(source))[0]


@needs_zarr
def test_a_month_from_a_zarr_store(tmp_path: Path, store: Path) -> None:
    request = Request("2020-01", REQUEST.area, 0.25, ("u10",), ("10m_u_component_of_wind",), (0, 12))
    (path,) = from_store(store, request, tmp_path)
    assert list(files_of(tmp_path)) == [f"{PLACE}/2020-01.nc"]
    found = read_fields(path)
    np.testing.assert_array_equal(found.hours, SIX_HOURLY[::2])
    np.testing.assert_array_equal(found.latitude, [50, 50.25, 50.5])
    expected = field("u10", found.hours, found.latitude, found.longitude)
    np.testing.assert_allclose(found.values[:, 0], expected, rtol=0, atol=3e-6)
    np.testing.assert_array_equal(found.preliminary, found.hours >= START + 20 * 24)
    assert found.units == {"u10": "m s**-1"}


@needs_zarr
def test_what_a_zarr_store_does_not_have_is_refused(tmp_path: Path, store: Path) -> None:
    with refused("v10", "no values", "2020-01-26 00:00", "1 such"):
        from_store(store, REQUEST, tmp_path)
    for request, words in (
        (Request("2020-02", REQUEST.area, 0.25, ("u10",), ("a",), (0,)), ["no 2020-02-01 00:00"]),
        (Request("2020-01", REQUEST.area, 0.25, ("t2m",), ("a",), (0,)), ["no variable t2m"]),
        (Request("2020-01", Area(1, 0, 0, 1), 0.25, ("u10",), ("a",), (0,)), ["not all points"]),
    ):
        with refused(*words):
            from_store(store, request, tmp_path)
    assert files_of(tmp_path) == {}
    with refused("no-store", "Zarr store"), zarr_store.open_store(str(tmp_path / "no-store")):
        pass


@needs_zarr
def test_a_passing_fault_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: Path) -> None:
    waits: list[float] = []
    monkeypatch.setattr(zarr_store.time, "sleep", waits.append)
    request = Request("2020-01", REQUEST.area, 0.25, ("u10",), ("a",), (0,))
    with zarr_store.open_store(str(store)) as source:
        whole, faults = type(source).load, iter([True, True, False, True, *[False] * 100])

        def load(self: object, *arguments: Any) -> Any:
            if next(faults):
                raise TimeoutError("no answer")
            return whole(source, *arguments)

        monkeypatch.setattr(type(source), "load", load)
        zarr_store.retrieve_from(source)(request, tmp_path / "a.nc")
        monkeypatch.undo()
        np.testing.assert_array_equal(read_fields(tmp_path / "a.nc").hours, request.times)
        assert waits == [2, 4, 2]
        monkeypatch.setattr(zarr_store.time, "sleep", waits.append)
        monkeypatch.setattr(type(source), "load", lambda *_: (_ for _ in ()).throw(TimeoutError("no answer")))
        with refused("10m_u_component_of_wind", "no answer"):
            zarr_store.retrieve_from(source)(request, tmp_path / "b.nc")
        assert len(waits) == 6


@pytest.mark.parametrize("absent", ["zarr", "aiohttp"])
def test_a_missing_package_for_zarr_stores_is_named(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    monkeypatch.setattr(zarr_store, "find_spec", lambda name: None if name == absent else object())
    with refused(absent, "pip install 'aiohttp"), zarr_store.open_store("https://localhost/era5.zarr"):
        pass
