"""The index stage: builds, tunes and measures the recall sources."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import TEST, Dataset, load_dataset
from dataset.cases import Cases
from dataset.config import NOTES
from dataset.searching_cases import searching_cases
from index import demand_eras
from index.config import IndexConfig
from index.faiss_store.build import build_index, chosen_kind, list_count
from index.faiss_store.gpus import used
from index.item_knn import NEXT_ITEMS, NeighbourLists
from index.lexical.lexical import Lexical
from index.merge import UNDECIDED_NOTE, Choices, chosen, recall_facts
from index.milvus_store.upload import upload
from index.pair_lists import Purchases, pair_lists
from index.recall_sources import (
    ACTION_WEIGHTS,
    SEARCHED,
    SEARCHES_ALONE,
    WORDS_WEIGHT,
    RecallSources,
)
from index.source_weight import choose
from index.tuning import OperatingPoint, Truth, explore, measure, reaching, widest_effort
from index.vector_store import TunableStore
from index.vectors import Vectors
from index.words_weight import UNDECIDED, choose_words
from lineage.manifest import CorruptArtifactError, command, read_manifest, require_newest_format
from lineage.stages import (
    DATA,
    EMBEDDINGS,
    LAST_TOWERS,
    SEARCH_EMBEDDINGS,
    TOWERS,
    TRIAL_INDEX,
    TRIAL_TOWERS,
    USER_EMBEDDINGS,
    WEIGHING_CASES,
)

logger = logging.getLogger(__name__)
RECALL = "recall@100 against exact"
LATENCY = "p50 ms"
POINT = "operating point"
CURVE = "operating points"
"""Key of the fact that lists every operating point measured."""
QUERIES = 1000
"""Most queries that the index is tuned on."""
FEWEST_USERS = 100
"""With fewer shoppers than this, item embeddings are the tuning queries."""
SHORTLIST = 100


def trial(config: IndexConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Build the recall sources of the trial and choose how they are merged.

    Args:
        config: Options of the stage.
        root: Folder of the dataset's stages.
        folder: Where to write.

    Returns:
        The facts that `build` returns, and recall by each of what was chosen.

    Raises:
        ValueError, CorruptArtifactError: as `build` does.
    """
    towers = root / TRIAL_TOWERS
    require_newest_format(towers, read_manifest(towers, TRIAL_TOWERS), TRIAL_TOWERS)
    data = load_dataset(root / DATA)
    if config.kind == "milvus":  # the trial is never served, so its index stays on this machine
        config = replace(config, kind="auto", operating_point="")
    index, neighbours, facts = _built(config, towers, data, folder)
    if (demand := data.demand(before=TEST)) is not None:
        demand.save(folder)
    facts[NOTES] = []
    choices = Choices.of(config, timed=demand is not None, returning=data.items_return)
    merge = choices.first
    weighing = data.cases("valid").at(np.load(towers / WEIGHING_CASES))
    users = np.load(towers / USER_EMBEDDINGS)
    alone = np.flatnonzero([not weighing.search(case) for case in range(len(weighing))])
    cases, users = weighing.select(alone), users[alone]
    if len(choices.weights) > 1 and not len(weighing):
        facts[NOTES] = [UNDECIDED_NOTE]
        logger.warning(UNDECIDED_NOTE)
    elif len(choices) > 1 and len(cases):
        merge, recalls = choose(
            RecallSources.of(
                index,
                neighbours,
                temperature=read_manifest(towers, TOWERS).facts["temperature"],
                config=replace(config.neighbours, weight=0.0),
                action_weights=facts[ACTION_WEIGHTS],
                demand=demand,
            ),
            users,
            cases,
            choices,
        )
        facts |= recall_facts(merge, recalls)
    searching = searching_cases(data, weighing)
    facts |= _words_of_trial(config, towers, index, searching, folder, logged=facts[SEARCHED])
    return facts | merge.facts


def _words_of_trial(
    config: IndexConfig,
    towers: Path,
    index: TunableStore,
    cases: Cases,
    folder: Path,
    *,
    logged: bool,
) -> dict[str, Any]:
    """The weight of the words of a search, chosen by cases that search unless it is given.

    `logged` says whether searches are logged, so that the ranker orders what they find.
    """
    lexical, path = Lexical.load(folder), towers / SEARCH_EMBEDDINGS
    if lexical is None:
        return {WORDS_WEIGHT: 0.0}
    if config.lexical.weight is not None:
        return {WORDS_WEIGHT: config.lexical.weight}
    if not path.is_file() or not len(cases):
        return {WORDS_WEIGHT: UNDECIDED}
    sources = RecallSources.of(
        index,
        None,
        temperature=read_manifest(towers, TOWERS).facts["temperature"],
        config=config.neighbours,
    )
    sources = replace(sources, lexical=lexical)
    weight, ndcgs = choose_words(sources, np.load(path), cases, ranked=logged)
    by_weight = {str(other): round(ndcg, 4) for other, ndcg in ndcgs.items()}
    return {WORDS_WEIGHT: weight, "NDCG@10 of searches by weight of words": by_weight}


def build(config: IndexConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Build the index over a finished towers stage's embeddings, and the neighbour lists.

    Args:
        config: Options of the stage; what they leave open is as the trial chose.
        root: Folder of the dataset's stages.
        folder: Where to write.

    Returns:
        Facts for the manifest: size, kind, operating point, recall@100 against exact search,
        latency in ms, and every operating point measured.

    Raises:
        ValueError: the embeddings are invalid, or no operating point reaches `target_recall`.
        CorruptArtifactError: the embeddings cannot be read.
    """
    return _refit(config, root, TOWERS, load_dataset(root / DATA).for_refit(), folder)


def build_last(config: IndexConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """`build` over the last fit's embeddings, with neighbour lists of everything."""
    return _refit(config, root, LAST_TOWERS, load_dataset(root / DATA).for_last_fit(), folder)


def _refit(
    config: IndexConfig, root: Path, towers: str, data: Dataset, folder: Path
) -> Mapping[str, Any]:
    """Build and write the recall sources over a stage of towers, merged as the trial chose."""
    _, _, facts = _built(config, root / towers, data, folder)
    if (demand := data.demand()) is not None:
        demand.save(folder)
    of_trial = read_manifest(root / TRIAL_INDEX, TRIAL_INDEX).facts
    given = config.lexical.weight
    words = of_trial[WORDS_WEIGHT] if given is None else given
    return facts | chosen(config, of_trial).facts | {WORDS_WEIGHT: words}


def _built(
    config: IndexConfig, towers: Path, data: Dataset, folder: Path
) -> tuple[TunableStore, NeighbourLists | None, dict[str, Any]]:
    """Build and write the index, the neighbour lists and the eras; return the sources and facts."""
    embeddings = _embeddings(towers)
    index: TunableStore
    if config.kind == "milvus":
        index = upload(embeddings, config.milvus, folder)
    else:
        index = build_index(embeddings, config, folder)
    point, curve = tune(index, config, embeddings, _queries(towers, embeddings))
    index.set_operating_point(point.parameters)
    index.save(folder)
    facts: dict[str, Any] = {
        "items": len(index),
        "dimension": index.dimension,
        "metric": read_manifest(towers, TOWERS).facts["metric"],
        "kind": chosen_kind(config, len(index), index.dimension),
        **_as_facts(point),
        CURVE: [_as_facts(other) for other in curve],
        SEARCHED: data.searches is not None and data.searches.any,
        SEARCHES_ALONE: data.searches_alone,
        ACTION_WEIGHTS: [max(float(weight), 0.0) for weight in data.weight_of_action],
    }
    learnt = Purchases.of(data)
    moments = data.moments[learnt.places]
    demand_eras.save(
        folder,
        demand_eras.item_times(
            learnt.offsets, learnt.items, moments, len(data.item_ids), learnt.strengths
        ),
    )
    if config.lexical.kept:
        Lexical.of(data.texts, config.lexical).save(folder)
    if not config.neighbours.kept:
        return index, None, facts
    neighbours, following = pair_lists(config.neighbours, data, learnt)
    neighbours.save(folder)
    following.save(folder, NEXT_ITEMS)
    facts["neighbour pairs"] = len(neighbours.rows)
    return index, neighbours, facts


def _embeddings(towers: Path) -> Vectors:
    path = towers / EMBEDDINGS
    try:
        vectors: Vectors = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise CorruptArtifactError(
            f"{path} is not a readable array ({error}); make it again with "
            f"`{command(towers, TOWERS)}`"
        ) from error
    return vectors


def _queries(towers: Path, embeddings: Vectors) -> NDArray[np.float32]:
    """(queries, dimension): random user embeddings, or item embeddings if users are few."""
    users = np.load(towers / USER_EMBEDDINGS, mmap_mode="r")
    among = users if len(users) >= FEWEST_USERS else embeddings
    rows = np.random.default_rng(0).permutation(len(among))[:QUERIES]
    return np.asarray(among[rows], dtype=np.float32)


def tune(
    index: TunableStore, config: IndexConfig, embeddings: Vectors, queries: NDArray[np.float32]
) -> tuple[OperatingPoint, list[OperatingPoint]]:
    """Find the fastest operating point that reaches the target recall; also all points measured.

    Raises:
        ValueError: no operating point reaches the target recall.
    """
    truth = Truth.of(queries, embeddings, min(SHORTLIST, len(index)))
    if config.operating_point:
        given = measure(index, config.operating_point, truth)
        return given, [given]
    kind = chosen_kind(config, *embeddings.shape)
    points = explore(
        lambda parameters: measure(index, parameters, truth),
        kind,
        most=widest_effort(kind, list_count(config, len(index)), on_gpu=used(config.gpus)),
        target=config.target_recall,
    )
    if kind == "exact":
        return points[0], points
    enough = reaching(points, config.target_recall)
    if not enough:
        best = max(points, key=lambda point: point.least_recall)
        raise ValueError(
            f"{RECALL} must be at least {config.target_recall} (target_recall), got "
            f"{best.least_recall:.4f} at {best.parameters}, "
            f"{config.target_recall - best.least_recall:.4f} short; choose another kind or a "
            "lower target"
        )
    return enough[0], points


def _as_facts(point: OperatingPoint) -> dict[str, Any]:
    return {
        POINT: point.parameters,
        RECALL: round(point.recall, 4),
        LATENCY: round(point.milliseconds, 3),
    }
