"""One night: gather, check, plan, train, compare, decide, publish, and say what happened."""

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dataset.config import DataConfig
from dataset.paths import dataset_name
from lineage.locking import lock_file
from lineage.manifest import ArtifactError, read_manifest
from lineage.options import options_in
from lineage.releases import live_id
from lineage.stages import INDEX, TOWERS
from lineage.whole_files import replacing
from retraining.config import NightlyConfig
from retraining.gate import NDCG, Comparison, refusals
from retraining.gather import Gathered, gather, record
from retraining.held_days import HeldDays
from retraining.plan import Plan, facts_of, learnt_until, planned
from retraining.report import write_report
from retraining.stages import option_file, run_module, written_options
from serving.releases.publish import PublishConfig, publish

logger = logging.getLogger(__name__)
LOCK, STATE, COUNT, COMPARED = "LOCK", "night.json", "nights.json", "compared.json"
PAUSE_SECONDS = 5.0
BEFORE_TOWERS = {"towers.trial": "towers", "index.trial": "index", "retrieval": "shortlists"}
"""Modules of a full night before the towers, and the names of their options' files"""
SHOWN_DAYS = 90
FIRST_JUDGED = timedelta(days=7)
"""Newest days that the first night judges; what is older tells it what is usual"""
PUBLISHED, KEPT, IDLE = "published", "kept", "nothing new"
"""Outcomes of a night"""


class NightRunsError(ArtifactError):
    """Another night of the same shop runs."""


@dataclass
class Night:
    """A night of one shop. What is done of it is on the disk, so that it can be started again."""

    config: NightlyConfig
    dataset: str
    """The shop's folder"""
    artifacts: Path
    """Folder of the nights' stages, in which nothing else makes stages"""
    releases: Path
    """Folder of the shop's releases"""
    reports: Path
    """Folder of the shop's reports"""
    wait: bool = True
    """Whether it waits for another night of the shop"""
    facts: dict[str, Any] = field(default_factory=dict)
    """What happened so far"""

    @property
    def root(self) -> Path:
        """Folder of this shop's stages."""
        return self.artifacts / dataset_name(self.dataset)

    def run(self) -> Mapping[str, Any]:
        """Run the night, or the rest of one that was killed.

        Returns:
            What happened, as its report has it.

        Raises:
            NightRunsError: another night of the shop runs, and this one does not wait.
            ArtifactError: a stage failed, or the releases cannot be read or changed.
            ValueError: data or options break a rule.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with self._locked() as lock:
            unfinished = self._unfinished()
            self.facts = unfinished or {"started": f"{datetime.now(UTC):%FT%TZ}", "seconds": {}}
            if unfinished:
                logger.info("the night of %s goes on", unfinished["started"])
            found, plan = self._gathered(again=bool(unfinished))
            if plan.nothing:
                self._end(IDLE, [plan.nothing], full=False)
                return self.facts
            self._train(plan, found, lock)
            wrong = self._compared(plan, lock)
            if not wrong:
                with self._timed("publish"):
                    self.facts["release"] = publish(
                        self.root, self.releases, PublishConfig(keep=self.config.keep_releases)
                    )
            self._end(KEPT if wrong else PUBLISHED, wrong, full=bool(plan.full))
        return self.facts

    def _gathered(self, *, again: bool) -> tuple[Gathered, Plan]:
        """Gather, judge the days, and plan."""
        config = self.config
        with self._timed("gather"):
            recorded = record(config, self.releases, self.root, again=again)
            options = options_in(option_file(config.configs, "data"), DataConfig)
            found = gather(config, options, self.dataset, recorded=recorded, releases=self.releases)
            live = live_id(self.releases)
            folder = None if live is None else (self.releases / live).resolve()
            since = found.until - FIRST_JUDGED
            if folder is not None:
                since = learnt_until(folder) + timedelta(days=1)
            held = HeldDays.read(self.root).judged(
                found.days, since=since, until=found.until, limits=config.days
            )
            held.write(self.root)
        for day, reasons in sorted(held.reasons.items()):
            logger.warning("%s is held back: %s", day, "; ".join(reasons))
        plan = planned(
            config,
            days=found.days,
            until=found.until,
            held=list(held.reasons),
            live=folder,
            warm_nights=self._warm_nights,
        )
        self.facts["plan"] = facts_of(plan)
        self.facts["days"] = [
            {**asdict(day), "day": day.day.isoformat()} for day in found.days[-SHOWN_DAYS:]
        ]
        self.facts["held back"] = {day: list(reasons) for day, reasons in held.reasons.items()}
        self._remember()
        return found, plan

    def _train(self, plan: Plan, found: Gathered, lock: int) -> None:
        """Make every stage of the plan; those that are up to date are not made again."""
        live = "" if plan.live is None else plan.live.name
        logger.info(
            "everything is trained anew: %s" if plan.full else "the towers go on from %s",
            plan.full or live,
        )
        shared = ["--dataset", self.dataset, "--artifacts", str(self.artifacts)]
        files = {
            "recorded": found.recorded,
            "erased": found.privacy.erased,
            "user_key": found.privacy.user_key,
        }
        given = [f"--{name}={path}" for name, path in files.items() if path is not None]
        configs = self.config.configs

        def run(module: str, *options: str) -> None:
            with self._timed(module):
                run_module(module, [*options, *shared], lock=lock)

        def run_stage(module: str, file: Path, *options: str) -> None:
            run(module, "--config", str(file), *options)

        run_stage("dataset", option_file(configs, "data"), *plan.data_options, *given)
        if plan.live is None or plan.full:
            for module, name in BEFORE_TOWERS.items():
                run_stage(module, option_file(configs, name))
            for stage in ("towers", "index", "ranker"):
                run_stage(stage, option_file(configs, stage))
        else:
            with self._timed("carry"):
                places = [f"--root={self.root}", f"--release={plan.live}"]
                run_module("retraining.step", ["carry", *places], lock=lock)
            for stage in (TOWERS, INDEX):
                run_stage(stage, self._carried_options(plan.live, stage))
        run("towers.last")
        run("index.last")

    def _carried_options(self, live: Path, stage: str) -> Path:
        """Options of a stage as in the live release; towers go on from its towers."""
        options = dict(read_manifest(live / stage, stage).config)
        if stage == TOWERS:
            options |= {
                "warm_start": str(live / TOWERS),
                "warm_share": self.config.warm_share,
                "start_from": None,
            }
        return written_options(self.root / "options", stage, options)

    def _compared(self, plan: Plan, lock: int) -> Sequence[str]:
        """Why the new models must not go live, compared with the live release."""
        if plan.live is None:
            return []
        output = self.root / COMPARED
        options = [
            "compare",
            *(f"--root={self.root}", f"--release={plan.live}", f"--output={output}"),
            f"--users={self.config.scored_users}",
            *([] if plan.full else ["--warm"]),
        ]
        with self._timed("compare"):
            run_module("retraining.step", options, lock=lock)
        found = Comparison(**json.loads(output.read_text()))
        self.facts["compared"] = asdict(found)
        least = self.config.gate.least_users
        if found.users < least:
            self.facts["note"] = (
                f"{found.users} shoppers bought in the newest days, fewer than {least}: counts and "
                "drift alone decided"
            )
            logger.warning(self.facts["note"])
        else:
            gained = found.difference[NDCG]
            logger.info(
                "%s %.4f instead of %.4f (difference %.4f to %.4f)",
                NDCG,
                found.new[NDCG],
                found.live[NDCG],
                gained["low"],
                gained["high"],
            )
        return refusals(found, self.config.gate)

    def _end(self, outcome: str, reasons: Sequence[str], *, full: bool) -> None:
        """Write the report, and forget the night."""
        self.facts |= {"outcome": outcome, "reasons": list(reasons)}
        self.facts["ended"] = f"{datetime.now(UTC):%FT%TZ}"
        for reason in reasons:
            logger.warning("%s: %s", outcome, reason)
        if (
            outcome == PUBLISHED or full
        ):  # what a full night lost, the nights after it go on without
            count = 0 if full else self._warm_nights + 1
            with replacing(self.root / COUNT) as partial:
                partial.write_text(json.dumps({"since the last full night": count}))
        page = write_report(self.reports, self.facts, keep=self.config.keep_nights)
        (self.root / STATE).unlink(missing_ok=True)
        logger.info("%s; report: %s", outcome, page)

    @property
    def _warm_nights(self) -> int:
        """Nights that were published since the last full one."""
        try:
            content = json.loads((self.root / COUNT).read_text())
            return int(content["since the last full night"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        """Add the wall time of a step to the facts."""
        started = time.monotonic()
        yield
        seconds = self.facts["seconds"].get(step, 0.0) + time.monotonic() - started
        self.facts["seconds"][step] = round(seconds, 1)
        self._remember()

    def _remember(self) -> None:
        with replacing(self.root / STATE) as partial:
            partial.write_text(json.dumps(self.facts, indent=1))

    def _unfinished(self) -> dict[str, Any] | None:
        """Facts of a night that was killed; None if there is none."""
        try:
            facts = json.loads((self.root / STATE).read_text())
            return {"started": facts["started"], "seconds": dict(facts["seconds"])}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the lock of this shop's nights; its stages inherit the descriptor."""
        said = False
        while True:
            descriptor, owner = lock_file(self.root / LOCK)
            if descriptor is not None:
                break
            if not self.wait:
                raise NightRunsError(f"a night of {self.root.name} runs: {owner}")
            if not said:
                logger.info("waiting for %s", owner)
                said = True
            time.sleep(PAUSE_SECONDS)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
