"""How the windows of a use case are computed elsewhere, each in the form in which it is quickest.

Run as a file, by the Python that has Polars and Feast: it needs nothing of ml_assets. From `facts.parquet` and
`examples.parquet` of a folder to `<engine>.parquet` beside them; prints seconds and peak memory as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

WINDOWS = (1, 7, 28)
ENTITIES = {"carrier": ["carrier"], "origin": ["origin"], "dest": ["dest"], "route": ["origin", "dest"]}
THREADS = 2


def with_polars(folder: Path) -> Callable[[], None]:
    """Sum up to each moment of an entity, and look the sums up at t and at t - w."""
    import polars as pl

    def compute() -> None:
        facts = pl.scan_parquet(folder / "facts.parquet").select(
            "known_at", "carrier", "origin", "dest", pl.col("arrival_delay_min").fill_null(0).alias("delay")
        )
        asked = pl.scan_parquet(folder / "examples.parquet").with_row_index("row").sort("prediction_at")
        found = [asked.select("row", "example_id")]
        for name, entity in ENTITIES.items():
            sums = (
                facts.group_by(*entity, "known_at")
                .agg(pl.len().cast(pl.Int64).alias("rows"), pl.col("delay").sum())
                .sort("known_at")
                .with_columns(pl.col("rows", "delay").cum_sum().over(entity))
            )
            probes = asked.select("row", *entity, "prediction_at")
            until = probes.join_asof(
                sums, left_on="prediction_at", right_on="known_at", by=entity, check_sortedness=False
            )
            columns = []
            for days in WINDOWS:
                moved = probes.with_columns(pl.col("prediction_at") - timedelta(days=days))
                since = moved.join_asof(
                    sums, left_on="prediction_at", right_on="known_at", by=entity, check_sortedness=False
                )
                columns.append(since.select(pl.col("rows").alias(f"r{days}"), pl.col("delay").alias(f"d{days}")))
            joined = pl.concat([until.select("rows", "delay"), *columns], how="horizontal")
            found.append(
                joined.select(
                    *(
                        (pl.col(total).fill_null(0) - pl.col(f"{total[0]}{days}").fill_null(0)).alias(
                            f"{name}_{total}_{days}d"
                        )
                        for days in WINDOWS
                        for total in ("rows", "delay")
                    )
                )
            )
        pl.concat(found, how="horizontal").sort("row").drop("row").sink_parquet(folder / "polars.parquet")

    return compute


def with_duckdb(folder: Path) -> Callable[[], None]:
    """Sum up to each moment of an entity, and look the sums up by ASOF at the distinct moments asked for."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET TimeZone = 'UTC'; SET threads = {THREADS}")

    def compute() -> None:
        connection.execute(
            "CREATE TABLE facts AS SELECT known_at, carrier, origin, dest, coalesce(arrival_delay_min, 0) AS delay "
            f"FROM '{folder}/facts.parquet'; CREATE TABLE asked AS SELECT example_id, prediction_at, carrier, origin, "
            f"dest FROM '{folder}/examples.parquet'"
        )
        joins, columns = [], []
        for name, entity in ENTITIES.items():
            by = ", ".join(entity)
            connection.execute(
                f"CREATE TABLE sums_{name} AS SELECT {by}, known_at, sum(n) OVER w AS n, sum(delay) OVER w AS delay "
                f"FROM (SELECT {by}, known_at, count(*) AS n, sum(delay) AS delay FROM facts GROUP BY ALL) "
                f"WINDOW w AS (PARTITION BY {by} ORDER BY known_at)"
            )
            moments = " UNION ".join(
                f"SELECT {by}, prediction_at - INTERVAL {days} DAY AS at FROM asked" for days in (0, *WINDOWS)
            )
            same = " AND ".join(f"p.{column} = s.{column}" for column in entity)
            connection.execute(
                f"CREATE TABLE at_{name} AS SELECT p.*, coalesce(s.n, 0) AS n, coalesce(s.delay, 0) AS delay FROM "
                f"({moments}) AS p ASOF LEFT JOIN sums_{name} AS s ON {same} AND p.at >= s.known_at"
            )
            for days in (0, *WINDOWS):
                same = " AND ".join(f"a.{column} = {name}_{days}.{column}" for column in entity)
                moved = f"a.prediction_at - INTERVAL {days} DAY"
                joins.append(f"JOIN at_{name} AS {name}_{days} ON {same} AND {name}_{days}.at = {moved}")
            columns += [
                f"{name}_0.{total} - {name}_{days}.{total} AS {name}_{shown}_{days}d"
                for days in WINDOWS
                for total, shown in (("n", "rows"), ("delay", "delay"))
            ]
        connection.execute(
            f"COPY (SELECT a.example_id, {', '.join(columns)} FROM asked AS a {' '.join(joins)}) "
            f"TO '{folder}/duckdb.parquet' (FORMAT parquet)"
        )

    return compute


def with_pandas(folder: Path) -> Callable[[], None]:
    """Roll each entity by time, and look the result up by merge_asof: its window ends at the last event, not at t."""
    import pandas as pd

    def compute() -> None:
        facts = pd.read_parquet(
            folder / "facts.parquet", columns=["known_at", "carrier", "origin", "dest", "arrival_delay_min"]
        )
        facts["delay"] = facts.pop("arrival_delay_min").fillna(0.0)
        facts["one"] = 1.0
        facts = facts.sort_values("known_at")
        asked = pd.read_parquet(
            folder / "examples.parquet", columns=["example_id", "prediction_at", "carrier", "origin", "dest"]
        )
        asked = asked.sort_values("prediction_at").reset_index(drop=True)
        for name, entity in ENTITIES.items():
            for days in WINDOWS:
                rolled = facts.groupby(entity, sort=False).rolling(f"{days}D", on="known_at")[["one", "delay"]].sum()
                rolled = rolled.reset_index().groupby([*entity, "known_at"], sort=False).last().reset_index()
                found = pd.merge_asof(asked[[*entity, "prediction_at"]], rolled.sort_values("known_at"), by=entity,
                                      left_on="prediction_at", right_on="known_at")  # fmt: skip
                asked[f"{name}_rows_{days}d"] = found["one"].fillna(0).astype("int64")
                asked[f"{name}_delay_{days}d"] = found["delay"].fillna(0)
        asked.drop(columns=["prediction_at", "carrier", "origin", "dest"]).to_parquet(folder / "pandas.parquet")

    return compute


def with_feast(folder: Path) -> Callable[[], None]:
    """Ask Feast for the newest known fact of a carrier: it looks values up, and has no windows of its own."""
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Float64
    from feast.value_type import ValueType

    home = folder / "feast"
    home.mkdir(exist_ok=True)
    config = RepoConfig(
        project="bench",
        registry=str(home / "registry.db"),
        provider="local",
        offline_store={"type": "duckdb"},
        online_store=None,
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    carrier = Entity(name="carrier", join_keys=["carrier"], value_type=ValueType.STRING)
    source = FileSource(path=str(folder / "feast_facts.parquet"), timestamp_field="known_at")
    view = FeatureView(name="news", entities=[carrier], ttl=timedelta(days=28), source=source,
                       schema=[Field(name="arrival_delay_min", dtype=Float64)])  # fmt: skip
    store.apply([carrier, view])

    def compute() -> None:
        asked = pd.read_parquet(folder / "feast_examples.parquet")
        asked = asked.rename(columns={"prediction_at": "event_timestamp"})[["example_id", "carrier", "event_timestamp"]]
        found = store.get_historical_features(asked, features=["news:arrival_delay_min"]).to_df()
        found.to_parquet(folder / "feast.parquet")

    return compute


ENGINES = {"polars": with_polars, "duckdb": with_duckdb, "pandas": with_pandas, "feast": with_feast}


def main() -> None:
    """Run one engine once."""
    compute = ENGINES[sys.argv[1]](Path(sys.argv[2]))
    began, cpu = time.perf_counter(), time.process_time()
    compute()
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu_s": used, "peak_mb": peak_mb}) + "\n")


if __name__ == "__main__":
    main()
