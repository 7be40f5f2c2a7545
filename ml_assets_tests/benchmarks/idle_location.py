"""A code location for `idle_cost.py`: so many copies of the small flight_delays as IDLE_USE_CASES says, or none."""

import os

import dagster as dg

from ml_assets.graph.definitions.use_case import build_use_case
from ml_assets_tests.benchmarks.idle_cost import use_case_of

_BUILT = [build_use_case(use_case_of(number)) for number in range(int(os.environ.get("IDLE_USE_CASES", "0")))]
defs = dg.Definitions.merge(*_BUILT, dg.Definitions(executor=dg.in_process_executor))
