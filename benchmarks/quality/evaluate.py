"""Scores every system over the same test users and writes the report."""

import logging
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import machine
from benchmarks.quality.cascade_lists import LISTED, CascadeLists, cascade_lists
from benchmarks.quality.config import BenchConfig
from benchmarks.quality.figures import by_length, decomposition, examples, paired, ratios, slices
from benchmarks.quality.groups_of_users import groupings
from benchmarks.quality.importance import importance
from benchmarks.quality.probability_figures import calibration, ranked_by_rule
from benchmarks.quality.ranked_cases import ranked_cases
from benchmarks.quality.repeated import by_repeat, come_back
from benchmarks.quality.saved_lists import LISTS, USERS
from benchmarks.quality.search_peers import search_peers
from benchmarks.quality.systems import TRAININGS, Lists, baselines, boosted, cases_of, peers
from benchmarks.quality.timed_peers import buy_again, timed_peers
from benchmarks.quality.trade_offs import trade_offs
from benchmarks.quality.unmeasured import NO_CASES, NO_TREES, stage_notes
from benchmarks.quality.variety_figures import POPULARITY, category_of, quality_by_group, variety
from benchmarks.report.report import Report, write_report
from dataset.arrays import Dataset, load_dataset
from dataset.cases import Cases
from evaluation.summary import summarise
from lineage.cli import finished_config
from lineage.manifest import checksum, read_manifest
from lineage.open_release import open_evaluated
from lineage.stages import CASCADE, DATA, TOWERS
from profiles.attribute_values import AttributeValues
from serving.engine.engine import Engine, EngineConfig
from towers.config import TowersConfig

logger = logging.getLogger(__name__)


def benchmark(config: BenchConfig, dataset: str, root: Path, folder: Path) -> Report:
    """Score a finished release and write `report.json` and `report.html`.

    Args:
        config: Users to score and options of the baselines.
        dataset: Name of the dataset, or its source folder, which may hold peers' saved lists.
        root: Folder of the dataset's stages.
        folder: Folder of the report.

    Raises:
        ArtifactError: the release is incomplete, corrupt or mixed.
    """
    started = time.monotonic()
    open_evaluated(root)
    data = load_dataset(root / DATA).for_refit()
    cases, notes = cases_of(config, data, Path(dataset)), stage_notes(root)
    users = len(np.unique(cases.user_rows))
    logger.info("scoring %d moments of %d users, %s", len(cases), users, notes[0])
    report = Report(
        dataset=root.name,
        users=users,
        cases=len(cases),
        notes=notes,
        history="included" if come_back(cases) else "excluded",
        systems={},
        seconds={stage: read_manifest(root / stage, stage).seconds for stage in CASCADE},
        machine=machine(),
        command=f"make bench DATASET={root.name if root.name == dataset else dataset}",
        made_from=made_from(config, dataset, root),
    )
    if len(cases):
        report = _scored(report, config, data=data, cases=cases, dataset=dataset, root=root)
    else:
        logger.warning(NO_CASES)
        report = replace(report, notes=(*notes, NO_CASES))
    seconds = {**report.seconds, "bench": round(time.monotonic() - started, 1)}
    report = replace(report, seconds=seconds)
    write_report(folder, report)
    return report


def _scored(
    report: Report, config: BenchConfig, *, data: Dataset, cases: Cases, dataset: str, root: Path
) -> Report:
    """The report with the figures of every system."""
    trained = finished_config(root, TOWERS, TowersConfig)
    systems = {
        **baselines(config, data, cases),
        **peers(data, cases, Path(dataset)),
        **search_peers(data, cases, trained, LISTED, cache_below=root / "training"),
    }
    notes = list(report.notes)
    if data.timed:
        by_time, chosen = timed_peers(load_dataset(root / DATA), data, cases, LISTED)
        systems |= by_time
        if come_back(cases):
            systems["buy again"] = buy_again(data, cases, LISTED)
        notes.append(str(chosen))
    engine = Engine.load(root, EngineConfig())
    category = category_of(engine.cascade.profiles.attributes, config.category)
    own = cascade_lists(engine, data, cases)
    trees = boosted(config, root, engine, data, own=own, cases=cases)
    systems |= {
        **({} if trees is None else {"lambdarank": trees[..., :LISTED]}),
        "towers": own.towers,
        "shortlist": own.shortlist[:, :LISTED],
        "cascade": own.cascade[:, :LISTED],
    }
    logger.info("median ms a request: %s", {k: round(v, 1) for k, v in own.milliseconds.items()})
    report = replace(
        report,
        notes=(*notes, *([] if trees is not None else [NO_TREES])),
        systems={
            name: summarise(
                lists,
                cases.targets,
                len(data.item_ids),
                config.seed,
                users=cases.user_rows,
                gains=cases.gains,
            )
            for name, lists in systems.items()
        },
        decomposition=decomposition(config, root, own, cases),
        by_length=by_length(config, engine, data, own, cases),
        calibration=calibration(own, cases),
        auto=ranked_by_rule(config, engine, data, own, cases),
        paired=paired(config, systems, cases),
        ratios=ratios(config, systems, cases),
        slices={
            **slices(config, data, systems, cases),
            **by_repeat(systems, cases, config.seed),
        },
        examples=examples(config, data, cases, own),
    )
    ranked = ranked_cases(engine, own, cases, config.explained, config.seed)
    return replace(
        report,
        variety=_variety(
            config,
            engine,
            data,
            systems,
            own=own,
            cases=cases,
            folder=root / DATA,
            peer=report.best("ndcg@10", peers=True),
            category=category,
        ),
        importance={} if ranked is None else importance(ranked, config.seed),
    )


def _variety(
    config: BenchConfig,
    engine: Engine,
    data: Dataset,
    systems: Lists,
    *,
    own: CascadeLists,
    cases: Cases,
    folder: Path,
    peer: str | None,
    category: AttributeValues | None,
) -> dict[str, Any]:
    """Figures of variety and fairness, of the cascade, the shortlist and the best peer."""
    shown = {name: systems[name] for name in ("cascade", "shortlist", peer) if name is not None}
    lists = {name: of if of.ndim == 2 else of[0] for name, of in shown.items()}
    vectors = engine.cascade.retriever.sources.index.vectors(
        np.arange(len(data.item_ids), dtype=np.int32)
    )
    by_group = quality_by_group(config, lists, cases, groupings(folder, data, cases))
    return {
        **variety(
            config,
            data,
            lists,
            cases,
            expected=systems[POPULARITY],
            vectors=vectors,
            attributes=engine.cascade.profiles.attributes,
            category=category,
        ),
        "users": by_group,
        "trade-offs": trade_offs(config, own.cascade, cases, vectors=vectors, category=category),
    }


def made_from(config: BenchConfig, dataset: str, root: Path) -> dict[str, Any]:
    """Fingerprints and checksums of everything that the figures depend on."""
    saved = [Path(dataset) / name for name in (USERS, LISTS)]
    return {
        "release": open_evaluated(root).versions,
        "options": {**asdict(config), "lambdarank trainings": TRAININGS},
        "saved": {path.name: checksum(path) for path in saved if path.is_file()},
    }
