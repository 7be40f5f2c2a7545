"""The code location of a life: each use case of the folder that ML_ASSETS_LIFE_DEFS names, built as in production."""

import os
from pathlib import Path

import dagster as dg

from ml_assets.graph.definitions.discovery import build_folder, load_location
from ml_assets.spec.declaration import find_use_cases

DEFS_VARIABLE = "ML_ASSETS_LIFE_DEFS"


@dg.definitions
def defs() -> dg.Definitions:
    """Load every use case of the folder."""
    folders = find_use_cases(Path(os.environ[DEFS_VARIABLE]))
    in_process = dg.Definitions(executor=dg.in_process_executor)
    return load_location(lambda: dg.Definitions.merge(*(build_folder(folder) for folder in folders), in_process))
