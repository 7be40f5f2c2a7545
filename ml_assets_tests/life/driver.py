"""Lives a life: lands files, lets the daemons look, executes runs, and does what people do."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from unittest import mock
from zoneinfo import ZoneInfo

import dagster as dg
import numpy as np

from ml_assets.cli.operate.backfill import ranges_of
from ml_assets.graph.runs.launch import run_features, run_retrain
from ml_assets.pipeline.champion.decisions import NotDecidableError, PersonDecision, find_promoted, roll_back
from ml_assets.pipeline.features.versions import stale_drops
from ml_assets.pipeline.ingestion.corrections import AcceptedGap, CorrectionError, accept_gap
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.alert_relay import URLS_VARIABLE
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.life import world as files
from ml_assets_tests.life.good_state import GoodState
from ml_assets_tests.life.machine import Machine, Mishap
from ml_assets_tests.life.plan import Plan, Trouble
from ml_assets_tests.life.promises import EndedRun, LandedRow, Record, seen_in_part
from ml_assets_tests.life.sink import Sink
from ml_assets_tests.life.time_machine import LifeClock, clock_injected
from ml_assets_tests.life.use_case import DEPOTS, NAME, SOURCES, Edition, write_use_case
from ml_assets_tests.life.world import Order, World

_LANDS_BEFORE = timedelta(minutes=30)
_LOOKS_AFTER = timedelta(seconds=10)
_RETRIES = (timedelta(seconds=70), timedelta(minutes=12), timedelta(minutes=75), timedelta(hours=7), timedelta(days=1))
_HEADERS_LOST = 2  # columns that a broken file has


class Life:
    """One life in one folder."""

    def __init__(
        self, folder: Path, world: World, plan: Plan, on_drop: Callable[[Life, date], None] | None = None
    ) -> None:
        self.folder, self.world, self.plan, self._on_drop = folder, world, plan, on_drop
        self.calendar, self.setting = world.calendar, world.setting
        self.clock = LifeClock(self.calendar.batch_at(plan.drops[0]) - timedelta(hours=2))
        self.machine, self.sink, self.record = Machine(folder, self.clock), Sink(), Record()
        self._rng = np.random.default_rng([world.seed, 11])
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = count()
        self._is_on = True
        self._mishaps: dict[str, list[Mishap]] = {"batch": [], "retrain": []}
        self._edition = plan.edition_of(plan.drops[0])
        self.good = GoodState(self.machine.paths.root, NAME)

    @property
    def spec(self) -> UseCaseSpec:
        """Give the declaration as it is on the disk."""
        return load_use_case(self.machine.defs / NAME)

    def live(self) -> Record:
        """Live through all drops; then put right what is still wrong, and retrain once more."""
        write_use_case(self.machine.defs / NAME, self.setting, self._edition)
        with mock.patch.dict(os.environ), clock_injected(self.clock):
            os.environ[URLS_VARIABLE] = self.sink.start()
            self.machine.start()
            self.machine.switch_on_schedules()
            try:
                for drop in self.plan.drops:
                    self._plan_drop(drop)
                    self._go_on_until(self.calendar.batch_at(drop) - timedelta(hours=1, minutes=30))
                    if self._on_drop is not None:
                        self._on_drop(self, drop)
                self._end_well()
            finally:
                self.machine.stop()
                self.sink.stop()
        return self.record

    def _at(self, moment: datetime, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (moment, next(self._numbers), action))

    def _go_on_until(self, end: datetime) -> None:
        while self._agenda and self._agenda[0][0] <= end:
            moment, _, action = heapq.heappop(self._agenda)
            self.clock.go_to(moment)
            action()
        self.clock.go_to(end)

    # what happens by itself

    def _plan_drop(self, drop: date) -> None:
        batch = self.calendar.batch_at(drop)
        trouble = self.plan.trouble_of(drop)
        self._at(batch - timedelta(hours=1, minutes=20), lambda: self._follow_declaration(drop))
        self._plan_files(drop, batch, trouble)
        self._at(batch + timedelta(seconds=1), self._look_at_schedules)
        if self._changes_clocks(drop):
            self.record.events["clock_change_night"] += 1
            for minutes in (-60, -30, 30, 60):  # where clocks change at the batch, a cron may mean any of these
                self._at(batch + timedelta(minutes=minutes, seconds=1), self._look_at_schedules)
        for days in range(self.setting.every.days):
            noon = datetime.combine(drop + timedelta(days=days), self.calendar.times[0], ZoneInfo(self.setting.zone))
            self._at((noon + timedelta(hours=12)).astimezone(UTC) + timedelta(seconds=1), self._look_at_schedules)
            if days in (1, 4):  # a week has days on which nothing happens
                self._at(noon.astimezone(UTC) + timedelta(seconds=1), self._look_once)
        if trouble is not None:
            self._plan_trouble(drop, batch, trouble)

    def _changes_clocks(self, drop: date) -> bool:
        """Say whether the zone sets its clocks between the day before a batch and the day after."""
        zone = ZoneInfo(self.setting.zone)
        before, after = (
            datetime.combine(drop + timedelta(days=days), self.calendar.times[0], zone).utcoffset() for days in (-1, 1)
        )
        return before != after

    def _plan_files(self, drop: date, batch: datetime, trouble: Trouble | None) -> None:
        orders, outcomes = batch - _LANDS_BEFORE, batch - _LANDS_BEFORE + timedelta(minutes=4)
        if trouble == "late_file":
            orders = batch + timedelta(minutes=int(self._rng.integers(5, 900)))
        elif trouble == "late_by_days":
            outcomes = batch + self.setting.every * int(self._rng.integers(1, 4)) + timedelta(hours=3)
        elif trouble == "early_file":
            orders = batch - self.setting.every - timedelta(minutes=10)
        elif trouble == "revised_while_open":
            self._at(orders - timedelta(minutes=20), lambda: self._land(drop, "orders", share=0.3))
        for source, moment in (("orders", orders), ("outcomes", outcomes)):
            is_broken = source == "orders" and trouble in ("broken_rows", "broken_file", "duplicate_rows")
            how = trouble if is_broken else None
            if (source, trouble) in (("outcomes", "missing_file"), ("orders", "missing_for_good")):
                continue
            self._at(moment, lambda source=source, how=how: self._land(drop, source, how))
        self._at(max(outcomes, orders) + _LOOKS_AFTER, self._look)
        if max(outcomes, orders) > batch or "missing" in (trouble or ""):
            self._at(batch + timedelta(seconds=20), self._look)

    def _plan_trouble(self, drop: date, batch: datetime, trouble: Trouble) -> None:
        self.record.events[trouble] += 1
        every, hour = self.setting.every, timedelta(hours=1)
        later = batch + every * int(self._rng.integers(1, 3)) - 2 * hour
        off = batch - 2 * _LANDS_BEFORE
        copy = "orders_copy.csv.gz"
        follows: dict[str, list[tuple[datetime, Callable[[], None]]]] = {
            "revised_file": [(later, lambda: self._land(drop, SOURCES[drop.toordinal() % 2], share=0.3))],
            "broken_file": [(batch + 9 * hour, lambda: self._land(drop, "orders"))],
            "same_file_again": [(batch + 9 * hour, lambda: self._land(drop, "orders", name="orders.again.csv"))],
            "unread_file": [(batch - hour, lambda: self._land(drop, "orders", name=copy)),
                            (batch + 5 * hour, lambda: self._path(drop, copy).unlink())],
            "missing_for_good": [(batch + timedelta(days=2, hours=3), lambda: self._accept_gap(drop))],
            "failed_retraining": [(batch + 2 * hour, self._ask_for_retraining)],
            "killed_retraining": [(batch + 2 * hour, self._ask_for_retraining)],
            "outage": [(off, lambda: self._switch(on=False)),
                       (off + self.plan.outage_of(drop), lambda: self._switch(on=True))],
            "restart": [(batch + 3 * hour, self._restart)],
            "rollback": [(batch + 5 * hour, self._roll_back)],
        }  # fmt: skip
        for moment, action in follows.get(trouble, []):
            self._at(moment, action)
        kind, _, where = trouble.partition("_")
        if where in ("run", "retraining"):
            share = float(self._rng.uniform(0.05, 0.85))
            self._mishaps["batch" if where == "run" else "retrain"].append(Mishap(kind, share))
        if trouble in ("alerts_fail", "alerts_hang"):
            self._break_alerts(batch, trouble)

    def _break_alerts(self, batch: datetime, trouble: Trouble) -> None:
        def set_mode(mode: str) -> None:
            self.sink.mode = "takes" if mode == "takes" else "fails" if mode == "fails" else "hangs"

        self._at(batch - 2 * _LANDS_BEFORE, lambda: set_mode(trouble.removeprefix("alerts_") + "s"))
        lasts = timedelta(days=int(self._rng.integers(2, 5)))
        self._at(batch + lasts, lambda: set_mode("takes"))
        self._at(batch + lasts + timedelta(minutes=5), self._send_dead_letters)

    # the world

    def _path(self, drop: date, name: str) -> Path:
        return self.machine.paths.landing / NAME / str(drop) / name

    def _land(self, drop: date, source: str, how: Trouble | None = None, *, share: float = 0.0, name: str = "") -> None:
        """Land a file of a drop: as it should be, broken, or with a share of its rows corrected."""
        zone, edition = self.setting.zone, self._edition
        rng = np.random.default_rng([self.world.seed, drop.toordinal(), 3])
        orders = self.world.orders_of(drop) if source == "orders" else self.world.outcomes_of(drop)
        orders = files.heavier(orders, rng, share) if share else orders
        if how == "broken_rows":
            orders = [files.spoilt(order, place) for place, order in enumerate(orders)]
        if how == "duplicate_rows":
            orders = [*orders, *orders[:4]]
        text = files.orders_text(orders, zone, edition) if source == "orders" else files.outcomes_text(orders, zone)
        if how == "broken_file":
            text = "\n".join(",".join(line.split(",")[:_HEADERS_LOST]) for line in text.splitlines()) + "\n"
        elif name.endswith(".csv") or not name:
            for order in orders:
                self._remember_row(source, order)
        files.land(self._path(drop, name or f"{source}.csv"), text.encode(), self.clock.moment)

    def _remember_row(self, source: str, order: Order) -> None:
        values = (
            (order.depot, order.carrier, order.weight_kg) if source == "orders" else (order.depot, order.hours_late)
        )
        if order.weight_kg >= 0 and order.depot in DEPOTS:
            self.record.newest[source, order.order_id] = LandedRow(source, order.order_id, tuple(map(str, values)))

    # the machine

    def _look_at_schedules(self) -> None:
        if self._is_on:
            self.machine.look(sensors=False)
            if self.machine.launcher.launched:
                self._work()

    def _look_once(self) -> None:
        if self._is_on:
            self._look()

    def _look(self) -> None:
        """Let the daemons look; execute what they launched, and let them look again until nothing is left to do."""
        if self._is_on:
            begun = time.process_time()
            self.machine.look()
            self.record.seconds.setdefault("look", []).append(time.process_time() - begun)
            if self.machine.launcher.launched:
                self._work()

    def _work(self) -> None:
        for _ in range(12):
            for run_id in list(self.machine.launcher.launched):
                self.clock.advance(timedelta(seconds=20))
                self._execute(run_id)
                self.clock.advance(timedelta(seconds=40))
            self.machine.look()
            if not self.machine.launcher.launched:
                return
        raise RuntimeError("runs are asked for without an end: twelve after one another")

    def _execute(self, run_id: str) -> None:
        job = self.machine.run(run_id).job_name.removeprefix(f"{NAME}_")
        mishap = self._mishaps[job].pop(0) if self._mishaps.get(job) else None
        before = self.good.look() if mishap is not None else None
        begun = time.process_time()
        run = self.machine.execute(run_id, mishap)
        self.record.runs[f"{job} {run.status.value.lower()}"] += 1
        if mishap is not None and before is not None:
            self.record.kept_broken += [f"{mishap.kind} {job} {run_id[:8]}: {each}" for each in self.good.lost(before)]
        if job == "batch":
            self.good.remember()
        if run.status == dg.DagsterRunStatus.SUCCESS:
            self.record.seconds.setdefault(job, []).append(time.process_time() - begun)
        else:
            self.record.seen_in_part += [f"run {run_id[:8]}: {each}" for each in seen_in_part(self.machine.paths)]
            self.record.ended.append(EndedRun(run.job_name, run_id, self.clock.moment))
            for wait in _RETRIES:
                self._at(self.clock.moment + wait, self._look)
        if job == "retrain":
            self._stamp_models()

    def _stamp_models(self) -> None:
        """Stamp what a retraining wrote with the moment of the life: models are kept by their age."""
        for file in (self.machine.paths.models / NAME).rglob("*"):
            if file.stat().st_mtime > self.clock.moment.timestamp() + 1:
                os.utime(file, (self.clock.moment.timestamp(), self.clock.moment.timestamp()))

    def _switch(self, *, on: bool) -> None:
        self._is_on = on
        if on:
            self.machine.restart()
            self._look()

    def _restart(self) -> None:
        if self._is_on:
            self.machine.restart()
            self._look()

    # people

    def _follow_declaration(self, drop: date) -> None:
        """Put the edition of a drop on the disk, once in a state that cannot be used, and load it."""
        edition = self.plan.edition_of(drop)
        if drop == self.plan.broken_in:
            self.record.events["broken_declaration"] += 1
            self._declare(Edition(edition.clerk, edition.has_priority, is_broken=True))
            self._at(self.calendar.batch_at(drop) + timedelta(hours=4), lambda: self._declare(edition))
        elif edition != self._edition:
            has_gained = edition.has_priority and not self._edition.has_priority
            self.record.events["contract_gains_column" if has_gained else "contract_renames_column"] += 1
            self._edition = edition
            self._declare(edition)
            if has_gained:
                self._at(self.calendar.batch_at(drop) + timedelta(hours=2), self._backfill)

    def _declare(self, edition: Edition) -> None:
        write_use_case(self.machine.defs / NAME, self.setting, edition)
        if self._is_on:
            self.machine.restart()
            self._look()

    def _backfill(self) -> None:
        """Compute the features of earlier drops as they are declared now, and retrain: `ml-assets backfill` says so."""
        spec, state = self.spec, self._state()
        with state.connect() as connection:
            stale = sorted(stale_drops(connection, state.lake, spec))
        for first, last in ranges_of(stale, spec, 31):
            done = run_features(spec, self.machine.paths, first, last)
            self.record.runs[f"backfill {'success' if done.succeeded else 'failure'}"] += 1
        self._ask_for_retraining()

    def _state(self) -> UseCaseState:
        return UseCaseState(NAME, self.machine.paths)

    def _accept_gap(self, drop: date) -> None:
        gap = AcceptedGap("orders", [drop], "the sender lost it")
        try:
            accept_gap(self.spec, self._state(), gap, self.clock.moment)
        except CorrectionError as error:
            self.record.events[f"gap not accepted: {str(error).partition(':')[0]}"] += 1
        self._look()

    def _ask_for_retraining(self) -> None:
        """Start a retraining in the UI, as of the newest drop; before there is enough to learn from nobody would."""
        age = self.clock.moment - self.calendar.batch_at(self.setting.start)
        if not self._is_on or age < self.spec.retraining.first_after:
            return
        self.record.events["retraining_by_a_person"] += 1
        self.machine.submit_retraining(self.spec)
        self._look()

    def _roll_back(self) -> None:
        state = self._state()
        try:
            entry, _ = find_promoted(self.spec, state, "")
            roll_back(self.spec, state, entry, PersonDecision("ada", "it looked worse", self.clock.moment))
        except NotDecidableError:
            self.record.events["rollback_not_possible"] += 1

    def _send_dead_letters(self) -> None:
        again = AlertOutbox(self.machine.paths).retry_dead_letters(self.clock.moment)
        self.record.events["dead_letters_sent_again"] += again
        self._look()

    # the end

    def _end_well(self) -> None:
        """Mend what is broken, let everything be done, and retrain as of the last drop."""
        last = self.calendar.batch_at(self.plan.drops[-1])
        self._go_on_until(last + timedelta(hours=2))
        self.sink.mode, self._is_on = "takes", True
        self._mishaps = {}
        self._agenda.clear()
        for hours in range(1, 14, 2):
            self._at(last + timedelta(hours=2 + hours), self._look)
        self._at(last + timedelta(hours=3), self._send_dead_letters)
        self._go_on_until(last + timedelta(hours=18))
        done = run_retrain(self.spec, self.machine.paths, Retraining(as_of=self.plan.drops[-1].isoformat()))
        self.record.last_retraining = "succeeded" if done.succeeded else f"failed: {done.failures}"
        self.clock.advance(timedelta(minutes=1))
        self._look()
