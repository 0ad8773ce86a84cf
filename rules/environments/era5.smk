"""ERA5: a download for each month and region, and trajectories cut from the files.

The downloads are outputs of no rule: Snakemake deletes outputs before it runs a rule again, and the folder may hold
files of the user's own. A job leaves a receipt instead, which names the files that hold its month. It downloads nothing
where there are such files already, whatever they are called. Receipts carry a generation, which is a param of the job:
files that were exchanged or removed since then give it another number, so that Snakemake runs the job again.
"""

from weightcast.environments.plan import source_settings
from weightcast.era5.read import find_files
from weightcast.era5.region import region_around
from weightcast.era5.receipt import generation_of
from weightcast.era5.request import plan_downloads, requests_of
from weightcast.era5.settings import ERA5Settings
from weightcast.systems import read_settings

try:
    ERA5 = read_settings(ERA5Settings, source_settings(STUDY.data), "era5")
    DOWNLOADS = {} if ERA5.download == "none" else plan_downloads(list(TABLE), ERA5)
    AREAS = {row.id: region_around(row, ERA5.region_size, ERA5.spacing, ERA5.offset).area.name for row in TABLE}
    OWN_FILES = {id: find_files(ERA5.directory, (area,)) for id, area in AREAS.items() if not DOWNLOADS}
except InputError as error:
    raise SystemExit(f"weightcast: error: {error}")

ERA5_RECEIPT = f"{RESULTS}/era5/{{area}}/{{month}}.json"


def era5_files(wildcards):
    """Receipts of the months that environments need, or the user's own files where nothing is downloaded."""
    ids = MADE_TOGETHER[wildcards.shard]
    if not DOWNLOADS:
        return list(dict.fromkeys(str(path) for id in ids for path in OWN_FILES[id]))
    requests = [request for id in ids for request in requests_of(TABLE[id], ERA5)]
    return list(dict.fromkeys(ERA5_RECEIPT.format(area=request.area.name, month=request.month) for request in requests))


def generation(wildcards):
    """Counts as a wildcard of a download, so that exchanged files plan the job again."""
    return str(generation_of(ERA5_RECEIPT.format(**wildcards)))


# On the machine where Snakemake runs: compute nodes rarely reach the internet, and a job mostly waits for the store.
rule download_era5:
    input:
        code=code("download_era5"),
    output:
        ERA5_RECEIPT,
    log:
        f"{LOGS}/era5/{{area}}/{{month}}.log",
    wildcard_constraints:
        area="[0-9.NSEW_]+",
        month="[0-9]{4}-[0-9]{2}",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **job("download_era5", generation=generation),
    shell:
        RUN


# In place of simulate_environments, which waits for no files. They have no name: the stage finds them in their folder.
use rule simulate_environments as cut_era5 with:
    input:
        era5_files,
        code=code("simulate", SIMULATOR),


ruleorder: cut_era5 > simulate_environments


rule download:
    input:
        [ERA5_RECEIPT.format(area=area, month=month) for area, month in DOWNLOADS],
    localrule: True
