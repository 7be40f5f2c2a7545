"""The use case that is lived: will a parcel arrive late? Declared in a folder, as people do, in several editions.

A contract gains a column, a column is renamed, and for some hours a declaration is broken; each is the next edition.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

NAME = "parcels"
DEPOTS = ("north", "south", "harbour", "airport")
CARRIERS = ("van", "truck", "bike")
SOURCES = ("orders", "outcomes")
HEADERS_OF_OUTCOMES = ("order_id", "depot", "checked_at", "hours_late")


@dataclass(frozen=True)
class Edition:
    """What the declaration says at a time: what the column of the clerk is called, and whether `priority` is one."""

    clerk: str = "clerk"
    has_priority: bool = False
    is_broken: bool = False

    @property
    def headers_of_orders(self) -> tuple[str, ...]:
        """Name the columns of a file of orders."""
        priority = ("priority",) if self.has_priority else ()
        return ("order_id", "ordered_at", "depot", "carrier", "weight_kg", self.clerk, *priority)


@dataclass(frozen=True)
class Setting:
    """Where and how often: a daily or weekly batch at a local time of a zone."""

    start: date
    zone: str
    at: str
    every: timedelta

    @property
    def is_daily(self) -> bool:
        """Say whether a batch runs each day."""
        return self.every == timedelta(days=1)

    @property
    def matures_after(self) -> timedelta:
        """Give how long after a prediction its outcome is known."""
        return timedelta(days=2) if self.is_daily else timedelta(days=7)


def write_use_case(folder: Path, setting: Setting, edition: Edition) -> None:
    """Write the folder of the use case as an edition declares it."""
    (folder / "sql").mkdir(parents=True, exist_ok=True)
    (folder / "defs.yaml").write_text(_declaration(setting, edition), encoding="utf-8")
    priority = ", coalesce(priority, 'none') AS priority" if edition.has_priority else ""
    (folder / "sql" / "examples.sql").write_text(
        f"SELECT order_id AS example_id, order_id, depot, carrier, weight_kg{priority}, ordered_at FROM orders\n",
        encoding="utf-8",
    )
    (folder / "sql" / "labels.sql").write_text(
        "SELECT order_id AS example_id, CAST(hours_late > 0 AS INTEGER) AS label, known_at FROM outcomes\n",
        encoding="utf-8",
    )


def _declaration(setting: Setting, edition: Edition) -> str:
    priority = "\n        priority: {type: string}" if edition.has_priority else ""
    feature = "\n      - {name: priority, sql: priority}" if edition.has_priority else ""
    is_daily = setting.is_daily
    holdout, fold = ("10d", "5d") if is_daily else ("56d", "28d")
    return f"""
type: ml_assets.UseCase

attributes:
  name: {NAME}
  description: Which of the parcels ordered since the last batch will arrive late?
  clock: wall
  calendar:
    start: {setting.start}
    every: {setting.every.days}d
    at: "{setting.at}"
    timezone: {"Nowhere/Atlantis" if edition.is_broken else setting.zone}
  sources:
    - name: orders
      arrives: every_drop
      when_missing: wait
      key: [order_id]
      event_at: ordered_at
      known_at: ordered_at
      columns:
        order_id: {{type: string}}
        ordered_at: {{type: timestamp, required: true, zone: {setting.zone}}}
        depot: {{type: string}}
        carrier: {{type: string}}
        weight_kg: {{type: float, unit: kg}}
        {edition.clerk}: {{type: string}}{priority}
      expectations:
        - expect: expect_column_values_to_be_in_set
          arguments: {{column: depot, value_set: [{", ".join(DEPOTS)}]}}
          reason: depot_unknown
        - expect: expect_column_values_to_be_between
          arguments: {{column: weight_kg, min_value: 0, max_value: 100}}
          reason: weight_out_of_range
    - name: outcomes
      arrives: every_drop
      when_missing: go_on
      key: [order_id]
      event_at: checked_at
      known_at: checked_at
      columns:
        order_id: {{type: string}}
        depot: {{type: string}}
        checked_at: {{type: timestamp, required: true, zone: {setting.zone}}}
        hours_late: {{type: float, unit: h}}
      expectations:
        - expect: expect_column_values_to_be_between
          arguments: {{column: hours_late, min_value: -100, max_value: 1000}}
          reason: hours_late_out_of_range
  examples:
    from: [orders]
    sql: sql/examples.sql
  labels:
    from: [outcomes]
    sql: sql/labels.sql
    matures_after: {setting.matures_after.days}d
  features:
    views:
      - name: depot_outcomes
        from: outcomes
        entity: [depot]
        windows: [{"7d, 28d" if is_daily else "28d, 84d"}]
        aggregates: {{outcomes: count(*), hours_late_mean: mean(hours_late)}}
    expressions:
      - {{name: depot, sql: depot}}
      - {{name: carrier, sql: carrier}}
      - {{name: weight_kg, sql: weight_kg}}{feature}
  model:
    holdout: {holdout}
    folds: {{count: 2, length: {fold}}}
    min_relative_gain: 0.005
    threads: 1
    candidates:
      - {{name: group_history, kind: group_history, group_by: [depot], parameters: {{prior_strength: 20}}}}
      - {{name: logistic_regression, kind: logistic_regression, parameters: {{C: 0.1}}}}
    gate:
      min_gain: -0.02
      max_loss: 0.2
      interval_level: 0.8
      resamples: 200
      min_auc: 0.5
      max_auc_drop: 0.1
      max_ece: 0.3
      min_examples: 80
      min_days: 5
  worklist:
    capacity: 5
    columns: [order_id, depot, carrier]
  monitoring:
    window: {"7d" if is_daily else "28d"}
    reference_window: {"56d" if is_daily else "168d"}
    feed_history: {"28d" if is_daily else "84d"}
    relearn_after: {"42d" if is_daily else "84d"}
    performance_window: {"14d" if is_daily else "56d"}
    report_rows: 200
    keep_reports: 3
  retraining:
    first_after: {"28d" if is_daily else "140d"}
    stale_after: {"63d" if is_daily else "154d"}
    cooldown: {"28d" if is_daily else "84d"}
    periodic: "0 15 10 2,5,8,11 *"
"""
