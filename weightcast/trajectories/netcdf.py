"""Trajectories on disk: NetCDF with the dimensions (trajectory, time, y, x) and a variable per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from weightcast.core.dimensions import Dimension
from weightcast.core.errors import InputError
from weightcast.core.netcdf_file import write_netcdf
from weightcast.core.zarr_folder import is_store, open_store
from weightcast.trajectories import checks
from weightcast.trajectories.classic_netcdf import is_whole
from weightcast.trajectories.dimension_names import DIMENSIONS, how_to_name, own_names, with_own_names
from weightcast.trajectories.record import Trajectories
from weightcast.trajectories.stated_marks import without_marks

LAND = "land_"
"""What names of variables begin with, in files of the pipeline's own, that say where a channel never has a value."""
WITHOUT_GRID = DIMENSIONS[:2]
ALONG_LINE = (*WITHOUT_GRID, "x")


@dataclass(frozen=True)
class TrajectoryFile:
    """One environment's trajectories on their way to disk: what the stages that make them return."""

    trajectories: Trajectories

    def save(self, path: str | Path) -> None:
        """Write them; see :func:`write_trajectories`."""
        write_trajectories(path, self.trajectories)


def write_trajectories(path: str | Path, trajectories: Trajectories, gaps: bool = False) -> None:
    """Write one environment's trajectories; the same trajectories give the same bytes.

    Values are float32 and neither compressed nor chunked: fields of a simulation hardly compress, and a training stage
    reads them whole.

    Args:
        path: of the file.
        trajectories: of the environment.
        gaps: whether values may be missing, as NaN.

    Raises:
        InputError: there is Inf among the values, or NaN where none may be; or a channel is called as the land of
            another is. Nothing is written then.
    """
    path = Path(path)
    checks.check_finite(path, trajectories.values, trajectories.channels, gaps)
    land = land_variables(trajectories)
    for name in land.keys() & set(trajectories.channels):
        raise InputError(
            f"{path}: channel {name}: found the name of where {name[len(LAND) :]} is land, expected another"
        )
    units = trajectories.units
    variables = {
        name: xr.Variable(DIMENSIONS, trajectories.values[:, :, channel], _unit_attribute(units, name))
        for channel, name in enumerate(trajectories.channels)
    }
    variables |= {name: xr.Variable(DIMENSIONS[2:], mask.astype(np.int8)) for name, mask in land.items()}
    coordinates = {
        name: xr.Variable((name,), np.asarray(getattr(trajectories, name), np.float64), _unit_attribute(units, name))
        for name in DIMENSIONS[1:]
    }
    attributes: dict[str, str | np.float64] = {"environment": trajectories.environment}
    attributes |= {name: np.float64(value) for name, value in trajectories.parameters.items()}
    dataset = xr.Dataset(variables, coordinates, attributes)
    encoding = {name: {"_FillValue": None} for name in dataset.variables}  # no value stands for a missing one
    write_netcdf(dataset, path, encoding)


def read_trajectories(
    path: str | Path,
    *,
    channels: Sequence[str] | None = None,
    inputs: Sequence[str] = (),
    grid: tuple[int, int] | None = None,
    environment: str | None = None,
    parameters: Mapping[str, float] | None = None,
    minimum_frames: int = 1,
    minimum_trajectories: int = 1,
    gaps: bool = False,
    dimensions: Mapping[Dimension, str] | None = None,
    single: bool = False,
    missing: Sequence[float] | None = None,
) -> Trajectories:
    """Read and validate one environment's trajectories. Dimensions may come in any order, packed integers are unpacked.

    Dimensions that programs call otherwise count as what they are (:mod:`weightcast.trajectories.dimension_names`),
    further ones of length 1 do not count.

    A file with neither `y` nor `x` among its dimensions holds states without a grid, (trajectory, time) in any order,
    which become fields on one point. One with a single dimension of space (``LINES`` there) holds fields along a line,
    and that is x: a grid of 1 x X.

    Args:
        path: NetCDF, classic or version 4.
        channels: variables to read, in this order; None: all that have every dimension, in file order.
        inputs: further variables, which become channels behind these. They may lack dimensions, and are the same along
            these: a mask (y, x), a control (trajectory, time), a number of the place.
        grid: expected number of points (y, x).
        environment: expected id. A file without the attribute `environment` passes.
        parameters: as in the table of environments. Attributes of these names must agree with them; a file without
            such attributes passes. None: every attribute that is a single number is taken for a parameter.
        minimum_frames: least length of the time dimension.
        minimum_trajectories: least length of the trajectory dimension.
        gaps: whether values may be missing, as the file declares them or as NaN, and stay NaN.
        dimensions: what the file calls some of its dimensions, by their names here; None: recognised.
        single: whether a file without a dimension of trajectories holds one.
        missing: numbers that stand for missing values as well, and become NaN.

    Returns:
        the trajectories; a dimension without a coordinate variable counts 0, 1, 2, ...

    Raises:
        InputError: the file is missing, unreadable or truncated, or is not as said above; or a value is not finite.
    """
    path = Path(path)
    if not path.is_file() and not is_store(path):
        raise InputError(f"{path}: found no such file, expected trajectories (NetCDF)")
    try:
        dataset = open_dataset(path)
    except (OSError, RuntimeError, ValueError) as error:
        raise unreadable(path, error) from None
    with dataset:
        check_whole(path)
        dataset = with_own_names(dataset, path, dimensions)
        if single and "trajectory" not in dataset.dims:
            dataset = dataset.drop_vars("trajectory", errors="ignore").expand_dims("trajectory")
        if channels is None:
            channels = [name for name in _channel_names(path, dataset) if name not in inputs]
        names = (*channels, *inputs)
        for name in names:
            _check_variable(path, dataset, name, name in inputs)
        sizes: dict[str, int] = {dimension: dataset.sizes.get(dimension, 1) for dimension in DIMENSIONS}
        checks.check_grid(path, (sizes["y"], sizes["x"]), grid)
        checks.check_counts(path, sizes["trajectory"], sizes["time"], minimum_trajectories, minimum_frames)

        found_environment = dataset.attrs.get("environment")
        checks.check_environment(path, found_environment, environment)
        found_parameters = _numeric_attributes(dataset)
        checks.check_parameters(path, found_parameters, parameters)
        try:
            values = without_marks(_load_values(dataset, names, sizes), missing)
            for name in names:
                _check_valid(path, dataset, name, values[:, :, names.index(name)])
            coordinates = {name: _load_coordinate(path, dataset, name) for name in DIMENSIONS[1:]}
            stated = frozenset(name for name in ("y", "x") if name in dataset.coords and sizes[name] > 1)
        except (OSError, RuntimeError, IndexError) as error:
            raise unreadable(path, error) from None
        units = {
            str(name): str(variable.attrs["units"])
            for name, variable in dataset.variables.items()
            if name in (*names, *DIMENSIONS) and "units" in variable.attrs
        }
    checks.check_finite(path, values, names, gaps)
    return Trajectories(
        values=values,
        channels=names,
        time=coordinates["time"],
        y=coordinates["y"],
        x=coordinates["x"],
        environment=environment or str(found_environment or path.stem),
        parameters=dict(found_parameters if parameters is None else parameters),
        units=units,
        stated=stated,
    )


def land_variables(trajectories: Trajectories) -> dict[str, NDArray[np.bool_]]:
    """Where channels never have a value [y, x], by names of variables in files of the pipeline's own; of channels that
    have one everywhere there is none."""
    if trajectories.land is None:
        return {}
    masks = zip(trajectories.channels, trajectories.land, strict=True)
    return {LAND + name: mask for name, mask in masks if mask.any()}


def read_land(path: Path, channels: Sequence[str]) -> NDArray[np.bool_] | None:
    """Where channels of a file that :func:`write_trajectories` has written never have a value [channel, y, x]; None:
    nowhere.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        with open_dataset(path) as dataset:
            grid = dataset.sizes["y"], dataset.sizes["x"]
            masks = {name: dataset[LAND + name].to_numpy() > 0 for name in channels if LAND + name in dataset.data_vars}
    except (OSError, RuntimeError, ValueError, LookupError) as error:
        raise unreadable(path, error) from None
    return np.stack([masks.get(name, np.zeros(grid, bool)) for name in channels]) if masks else None


def open_dataset(path: Path) -> xr.Dataset:
    """A NetCDF file or a Zarr store. Times stay numbers: only their steps matter, and datetime64 would have to be
    turned back.

    Raises:
        InputError: a store cannot be used.
        OSError, RuntimeError, ValueError: there is no such file, or it cannot be read.
    """
    if is_store(path):
        dataset = open_store(path)
        return dataset[sorted(map(str, dataset.data_vars))]  # a folder has no order
    return xr.open_dataset(path, engine="netcdf4", decode_times=False, decode_timedelta=False, cache=False)


def unused_variables(
    path: Path, channels: Sequence[str], dimensions: Mapping[Dimension, str] | None = None
) -> list[str]:
    """Variables of a file that are no channels, each with its dimensions."""
    with open_dataset(path) as dataset:
        rest = with_own_names(dataset, path, dimensions).data_vars.items()
        return [f"{name}({', '.join(map(str, each.dims))})" for name, each in rest if name not in channels]


def lengths(path: Path, dimensions: Mapping[Dimension, str] | None = None) -> tuple[int, int]:
    """Numbers of trajectories, 1 without such a dimension, and of frames in each; 0 of a file that cannot be read.

    Raises:
        InputError: the file lacks a dimension that is named.
    """
    try:
        with open_dataset(path) as dataset:
            sizes = with_own_names(dataset, path, dimensions).sizes
            return sizes.get("trajectory", 1), sizes.get("time", 0)
    except (OSError, RuntimeError, ValueError):
        return 0, 0


def renamed_dimensions(path: Path, dimensions: Mapping[Dimension, str] | None = None) -> dict[str, str]:
    """What dimensions of a file are called here, by the names that they have there, of those that have others."""
    with open_dataset(path) as dataset:
        return own_names(dataset, path, dimensions)


def _unit_attribute(units: Mapping[str, str], name: str) -> dict[str, str]:
    return {"units": units[name]} if name in units else {}


def unreadable(path: Path, error: Exception) -> InputError:
    lines = str(getattr(error, "strerror", None) or error).splitlines()
    reason = lines[0] if lines else type(error).__name__
    return InputError(f"{path}: cannot be read ({reason}), expected trajectories in a whole NetCDF file")


def check_whole(path: Path) -> None:
    """Refuse a file in a classic format whose end is missing: the NetCDF library reads zeros there, and says nothing.

    (HDF5, under version 4, notices itself.)
    """
    if path.is_file() and not is_whole(path):
        raise unreadable(path, ValueError("the file ends too early"))


def _expected_dimensions(dataset: xr.Dataset) -> tuple[str, ...]:
    """Of every channel. A file that has a grid, under whatever names, has it for all of them."""
    if "x" in dataset.dims and "y" not in dataset.dims:
        return ALONG_LINE
    further = any(set(WITHOUT_GRID) < set(variable.dims) for variable in dataset.data_vars.values())
    return DIMENSIONS if further or {"y", "x"} & set(dataset.dims) else WITHOUT_GRID


def _channel_names(path: Path, dataset: xr.Dataset) -> tuple[str, ...]:
    """Every variable that has the expected dimensions."""
    expected = set(_expected_dimensions(dataset))
    names = tuple(
        str(name)
        for name, variable in dataset.data_vars.items()
        if set(variable.dims) == expected and variable.dtype.kind != "b"  # a mask is nothing that is forecast
    )
    if not names:
        for name, variable in dataset.data_vars.items():
            if {"time", "y", "x"} < set(variable.dims) and set(variable.dims) - set(DIMENSIONS):
                further = ", ".join(f"{one} ({dataset.sizes[one]})" for one in variable.dims if one not in DIMENSIONS)
                raise InputError(
                    f"{path}: {name}: found the dimensions ({', '.join(map(str, variable.dims))}), expected fields of "
                    f"two dimensions or one: choose one of {further}, or make a variable, which is a channel, of "
                    f"each{how_to_name(dataset)}"
                )
        raise InputError(
            f"{path}: found no variable with the dimensions ({', '.join(DIMENSIONS)}), nor with "
            f"({', '.join(ALONG_LINE)}) of fields along a line, nor with ({', '.join(WITHOUT_GRID)}) alone in a file "
            f"without a grid, among {_describe(dataset)}, expected one per channel{how_to_name(dataset)}"
        )
    return names


def _check_variable(path: Path, dataset: xr.Dataset, name: str, is_input: bool = False) -> None:
    if name not in dataset.data_vars:
        raise InputError(f"{path}: channel {name}: found {_describe(dataset)}, expected a variable {name}")
    variable = dataset[name]
    found, expected = set(map(str, variable.dims)), set(_expected_dimensions(dataset))
    if found != expected and not (is_input and found < expected):
        raise InputError(
            f"{path}: channel {name}: found dimensions ({', '.join(map(str, variable.dims))}), expected "
            f"({', '.join(DIMENSIONS)}) in any order, ({', '.join(ALONG_LINE)}) of fields along a line, or "
            f"({', '.join(WITHOUT_GRID)}) in a file without a grid{how_to_name(dataset)}"
        )
    checks.check_numeric(path, f"channel {name}", variable.dtype)


def _describe(dataset: xr.Dataset) -> str:
    variables = [f"{name}({', '.join(map(str, variable.dims))})" for name, variable in dataset.data_vars.items()]
    return ", ".join(variables) or "no variable"


def _numeric_attributes(dataset: xr.Dataset) -> dict[str, float]:
    numbers = {name: np.asarray(value) for name, value in dataset.attrs.items()}
    return {
        str(name): float(value)
        for name, value in numbers.items()
        if value.ndim == 0 and value.dtype.kind in checks.NUMERIC_KINDS
    }


def _load_values(dataset: xr.Dataset, names: Sequence[str], sizes: Mapping[str, int]) -> NDArray[np.float32]:
    """float32 [trajectory, time, channel, y, x]; a number too large for float32 becomes Inf, which is then refused."""
    shape = (sizes["trajectory"], sizes["time"], len(names), sizes["y"], sizes["x"])
    values = np.empty(shape, np.float32)
    with np.errstate(over="ignore"):
        for channel, name in enumerate(names):
            lacking = {dimension: 1 for dimension in DIMENSIONS if dimension not in dataset[name].dims}
            values[:, :, channel] = dataset[name].expand_dims(lacking).transpose(*DIMENSIONS).to_numpy()
    return values


def _check_valid(path: Path, dataset: xr.Dataset, name: str, values: NDArray[np.float32]) -> None:
    """No value [trajectory, time, y, x] outside of what the file says is valid, which stands for a missing one."""
    attributes, encoding = dataset[name].attrs, dataset[name].encoding
    low, high = np.ravel(attributes.get("valid_range", (-np.inf, np.inf)))[:2]
    limits = np.array([max(low, attributes.get("valid_min", -np.inf)), min(high, attributes.get("valid_max", np.inf))])
    if np.isinf(limits).all():
        return
    # They are given as values are stored: packed ones as integers.
    limits = limits * float(encoding.get("scale_factor", 1.0)) + float(encoding.get("add_offset", 0.0))
    slack = 1e-6 * np.abs(limits[np.isfinite(limits)]).max()
    wrong = (values < limits.min() - slack) | (values > limits.max() + slack)
    if wrong.any():
        trajectory, time, y, x = map(int, np.unravel_index(int(wrong.argmax()), wrong.shape))
        raise InputError(
            f"{path}: {name}: found {values[trajectory, time, y, x]:g} at trajectory {trajectory}, time {time}, y {y}, "
            f"x {x} (indices from 0), expected values from {limits.min():g} to {limits.max():g}, which the file says "
            "are valid"
        )


def _load_coordinate(path: Path, dataset: xr.Dataset, name: str) -> NDArray[np.float64]:
    if name not in dataset.coords:
        return np.arange(dataset.sizes.get(name, 1), dtype=np.float64)
    checks.check_numeric(path, name, dataset[name].dtype)
    if dataset[name].ndim > 1 or dataset[name].dims not in ((), (name,)):
        raise InputError(
            f"{path}: {name}: found the dimensions ({', '.join(map(str, dataset[name].dims))}), expected ({name}): the "
            "same in all trajectories"
        )
    coordinate = np.atleast_1d(dataset[name].to_numpy()).astype(np.float64)  # a point that was picked has a scalar
    checks.check_coordinate(path, name, coordinate)
    return coordinate
