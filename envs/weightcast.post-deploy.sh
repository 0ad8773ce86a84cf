#!/bin/sh
# Snakemake runs this inside the environment that it made from weightcast.yaml, from the folder that it was started in.
# pip does the installing, so that conda users have the very versions of constraints.txt. envs/Containerfile does the same
# in an image, and asks for further extras.
set -eu
python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[${WEIGHTCAST_EXTRAS:-era5-sample}]"
