from dataclasses import replace

import numpy as np
import pytest

from dataset.arrays import TEST, load_dataset
from dataset.demand import Demand
from evaluation.metrics import ndcg
from index.config import BestSellersConfig, IndexConfig, NeighboursConfig, OwnItemsConfig
from index.faiss_store.store import FaissStore
from index.item_knn import NeighbourLists
from index.merge import (
    HALF_LIVES,
    OWN_WEIGHTS,
    SALES_WEIGHTS,
    WEIGHTS,
    WINDOWS,
    Choices,
    Merge,
    chosen,
    recall_facts,
)
from index.recall_sources import RecallSources
from index.source_weight import SHORTLIST, Figures, choose, figures_by_merge
from lineage.manifest import read_manifest


def choices(config=None, *, timed=True, returning=False):
    return Choices.of(config or IndexConfig(), timed=timed, returning=returning)


@pytest.fixture(scope="module")
def parts(release):
    cases = load_dataset(release / "data").cases("valid")
    users = np.load(release / "trial" / "towers" / "user_embeddings.npy")
    places = np.load(release / "trial" / "towers" / "weighing_cases.npy")
    sources = RecallSources.of(
        FaissStore.load(release / "trial" / "index"),
        NeighbourLists.load(release / "trial" / "index"),
        temperature=0.05,
        config=NeighboursConfig(weight=0.0),
        demand=load_dataset(release / "data").demand(before=TEST),
    )
    return {"sources": sources, "users": users, "cases": cases.at(places)}


def test_recall_by_weight_equals_recall_of_scores_over_the_whole_corpus(parts, monkeypatch):
    monkeypatch.setattr("index.source_weight.SHORTLIST", 12)
    sources, cases = parts["sources"], parts["cases"]

    found = figures_by_merge(**parts, merges=[Merge(weight=weight) for weight in WEIGHTS])

    vectors = sources.index.vectors(np.arange(240, dtype=np.int32))
    for weight in WEIGHTS:
        shares = []
        for user, history, targets in zip(
            parts["users"], cases.histories, cases.targets, strict=True
        ):
            shared = np.zeros(240)
            known, scores = sources.neighbours.scores(history, decay=0.7)
            shared[known] = scores
            logits = vectors @ user / 0.05 + weight * np.log(shared + 1e-3)
            logits[history] = -np.inf
            shares.append(np.isin(targets, np.argsort(-logits)[:12]).mean())
        assert found[Merge(weight=weight)].recall.mean() == pytest.approx(
            np.mean(shares), abs=0.02
        )  # an item 13th in both is missed
    assert SHORTLIST == 200


def test_no_cases_are_refused(parts):
    no_cases = parts["cases"].select(np.empty(0, np.int64))

    with pytest.raises(ValueError, match="cases must have at least one user, got none"):
        figures_by_merge(parts["sources"], parts["users"][:0], no_cases, [Merge()])


def test_the_recall_of_a_merge_is_that_of_the_shortlists_that_it_serves(parts, monkeypatch):
    monkeypatch.setattr("index.source_weight.SHORTLIST", 12)
    cases = parts["cases"]
    merges = [Merge(), Merge(weight=0.5, sales_weight=2.0, window=28), Merge(30.0, 0.5, 1.0, 7)]

    found = figures_by_merge(**parts, merges=merges)

    for merge in merges:
        served = merge.of(parts["sources"])
        for case, (recall, gain) in enumerate(zip(*found[merge], strict=True)):
            shortlist = served.shortlist(
                parts["users"][case],
                cases.histories[case],
                12,
                interaction_codes=cases.interaction_codes[case],
                when=cases.when(case),
            )
            targets = cases.targets[case]
            assert recall == np.isin(targets, shortlist.rows).mean()
            assert gain == pytest.approx(ndcg(shortlist.rows[None, :10], [targets], 10)[0])


def test_best_sellers_are_chosen_where_they_hold_what_is_bought(parts, monkeypatch):
    """Each target was sold twice in the days before it, nothing else was."""
    monkeypatch.setattr("index.source_weight.SHORTLIST", 12)
    cases = parts["cases"]
    targets, times = [], []
    for case, of_case in enumerate(cases.targets):
        targets += [*of_case.tolist()] * 2
        times += [cases.when(case).now - 3600] * (2 * len(of_case))
    sold = Demand.of(np.array(targets), np.array(times))
    sources = parts["sources"].with_demand(sold)

    merge, recalls = choose(sources, parts["users"], cases, choices())

    assert merge.sales_weight > 0
    assert merge.window == 7
    facts = recall_facts(merge, recalls)
    by_weight = facts["recall by weight of best sellers"]
    assert by_weight[str(merge.sales_weight)] == round(recalls[merge], 4)
    assert recalls[merge] > recalls[Merge(weight=merge.weight, window=7)]


def test_without_times_only_the_weight_of_the_lists_is_open(parts):
    untimed = choices(timed=False)

    assert untimed.of_sales == [Merge(weight=weight) for weight in WEIGHTS]
    assert len(untimed) == len(WEIGHTS)
    timed = choices()
    by_place = 1 + len(WINDOWS) * (len(SALES_WEIGHTS) - 1)
    assert len(timed) == len(WEIGHTS) * (by_place + len(HALF_LIVES) - 1)


def test_options_close_choices_and_overrule_the_trial():
    closed = IndexConfig(
        neighbours=NeighboursConfig(weight=0.5, half_life=30.0),
        best_sellers=BestSellersConfig(weight=1.0, window=7),
        own_items=OwnItemsConfig(weight=3.0),
    )

    assert len(choices(closed, returning=True)) == 1
    of_trial = Merge(90.0, 2.0, 1.0, 28, 0.5)
    assert chosen(closed, of_trial.facts) == Merge(30.0, 1.0, 0.5, 7, 3.0)
    assert chosen(IndexConfig(), of_trial.facts) == of_trial
    assert chosen(closed, Merge().facts).own_weight is None  # nothing of a history comes back
    off = choices(
        IndexConfig(
            neighbours=NeighboursConfig(kept=0),
            best_sellers=BestSellersConfig(weight=0.0),
            own_items=OwnItemsConfig(weight=0.0),
        ),
        returning=True,
    )
    assert off.first == Merge(window=7, own_weight=0.0)


def figures(recall, gain):
    return Figures(np.array(recall, float), np.array(gain, float))


def test_the_order_decides_among_merges_that_recall_as_much_up_to_the_standard_error(
    parts, monkeypatch
):
    cases = replace(parts["cases"].select(np.arange(4)), user_rows=np.arange(4))
    monkeypatch.setattr("index.source_weight.figures_by_merge", lambda *_: found)
    weights = [Merge(weight=weight) for weight in WEIGHTS[:4]]
    figures_of = [
        figures([0.9, 0.9, 0.9, 0.9], [0, 0, 0, 0]),  # recalls most
        figures([0.8, 0.94, 0.9, 0.9], [0.5, 0, 0, 0]),  # 0.015 less, standard error 0.03
        figures([0.8, 0.8, 0.8, 0.9], [1, 1, 1, 1]),  # 0.075 less, standard error 0.025
        figures([0.8, 0.94, 0.9, 0.9], [0.5, 0, 0, 0]),  # as the second, but not as simple
    ]
    found = dict(zip(weights, figures_of, strict=True))

    merge, recalls = choose(parts["sources"], parts["users"], cases, choices(timed=False))

    assert merge == weights[1]
    assert recalls[merge] == pytest.approx(0.885)


def test_own_items_are_chosen_where_they_hold_what_is_bought(parts, monkeypatch):
    """Each shopper buys the oldest item of the history again, and no item is left out."""
    monkeypatch.setattr("index.source_weight.SHORTLIST", 12)
    cases = replace(
        parts["cases"],
        targets=[history[:1] for history in parts["cases"].histories],
        excluded=[history[:0] for history in parts["cases"].histories],
    )

    by_towers = IndexConfig(
        neighbours=NeighboursConfig(weight=0.0), best_sellers=BestSellersConfig(weight=0.0)
    )
    choosing = choices(by_towers, returning=True)

    merge, recalls = choose(parts["sources"], parts["users"], cases, choosing)

    assert merge.own_weight in OWN_WEIGHTS[1:]
    assert recall_facts(merge, recalls)["recall by weight of own items"] == {
        str(weight): round(recalls[replace(merge, own_weight=weight)], 4) for weight in OWN_WEIGHTS
    }
    assert recalls[merge] > recalls[replace(merge, own_weight=0.0)] + 0.1


def test_the_trial_chooses_a_weight_of_high_recall_and_the_index_uses_it(release):
    facts = read_manifest(release / "trial/index", "index").facts

    recalls = {float(weight): share for weight, share in facts["recall by weight"].items()}
    assert set(recalls) == set(WEIGHTS)
    assert recalls[facts["neighbour weight"]] > max(recalls.values()) - 0.1
    served = read_manifest(release / "index", "index").facts
    for name in ("neighbour weight", "history half-life", "best sellers weight"):
        assert served[name] == facts[name]
    assert served["best sellers window"] == facts["best sellers window"]
