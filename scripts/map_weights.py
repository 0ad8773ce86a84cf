"""The weight-environment map: principal components of the zoos' weights and of their latents."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json
from weightcast.core.files import written_whole
from weightcast.environments.scaling import ParameterScaling
from weightcast.environments.vae_artifact import load_vae
from weightcast.environments.zoo import Zoo


def mapped(space: str, base: str, zoo: Zoo, points: Tensor) -> pd.DataFrame:
    """Rows of one space: the first two components of points [member, ...]."""
    components = PCA(min(2, len(points)), random_state=0)
    places = components.fit_transform(points.flatten(1).double().numpy())
    explained = components.explained_variance_ratio_
    return pd.DataFrame(
        {
            "space": space,
            "base": base,
            "environment": zoo.environments,
            "member": [entry["member"] for entry in zoo.manifest],
            "component_1": places[:, 0],
            "component_2": places[:, -1],
            "explained_1": explained[0],
            "explained_2": explained[-1],
        }
    )


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoos", required=True, nargs="+", type=Path)
    parser.add_argument("--vaes", required=True, nargs="+", type=Path, help="one an arm")
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    zoos = {path.stem: Zoo.load(path).healthy() for path in arguments.zoos}
    tables = [mapped("weights", base, zoo, zoo.weights) for base, zoo in zoos.items()]
    shown = set()
    for path in arguments.vaes:
        vae, _, metadata = load_vae(path)
        zoo = next(zoo for zoo in zoos.values() if zoo.metadata["base"] == metadata["base"])
        base = next(name for name, candidate in zoos.items() if candidate is zoo)
        if base not in shown:  # several arms may stand on one base: the first one's latents are shown
            values = arguments.environments.parameter_array(zoo.environments)
            scaled = ParameterScaling.from_metadata(metadata["scaling"]).apply(values)
            with torch.no_grad():
                tables.append(mapped("latents", base, zoo, vae.encode(zoo.weights, scaled)))
        shown.add(base)
    with written_whole(arguments.output) as partial:
        pd.concat(tables).to_csv(partial, index=False)


if __name__ == "__main__":
    main()
