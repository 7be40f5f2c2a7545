"""Which failed checks stand while runs go on, and after runs that ended before their checks."""

from collections.abc import Iterator

import dagster as dg
import pytest

from ml_assets.graph.automation.failures import failed_checks

COMPLETE = dg.AssetCheckKey(dg.AssetKey(["parcels", "predictions", "predictions"]), "complete")


@dg.asset(key=COMPLETE.asset_key, check_specs=[dg.AssetCheckSpec("complete", asset=COMPLETE.asset_key)])
def predictions(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Fail the check unless the run is tagged as whole."""
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=context.run.tags.get("whole") == "yes")])


JOB = dg.Definitions(assets=[predictions], jobs=[dg.define_asset_job("parcels_batch")]).resolve_job_def("parcels_batch")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def failing(instance: dg.DagsterInstance) -> list[str]:
    return [finding.monitor for finding in failed_checks(instance, [COMPLETE])]


def test_failed_check_stands_while_the_next_run_goes_on(instance: dg.DagsterInstance) -> None:
    JOB.execute_in_process(instance=instance)
    assert failing(instance) == ["check/predictions/predictions/complete"]

    instance.create_run_for_job(JOB)

    assert failing(instance) == ["check/predictions/predictions/complete"]


def test_failed_check_is_over_when_a_later_run_passes_it(instance: dg.DagsterInstance) -> None:
    JOB.execute_in_process(instance=instance)
    JOB.execute_in_process(instance=instance, tags={"whole": "yes"})

    assert failing(instance) == []


def test_check_that_never_ended_is_no_failure(instance: dg.DagsterInstance) -> None:
    instance.create_run_for_job(JOB)

    assert failing(instance) == []
