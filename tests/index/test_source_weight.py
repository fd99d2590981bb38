import numpy as np
import pytest

from dataset.arrays import load_dataset
from index.config import NeighboursConfig
from index.faiss_store.store import FaissStore
from index.item_knn import NeighbourLists
from index.recall_sources import RecallSources
from index.source_weight import SHORTLIST, WEIGHTS, recall_by_weight
from lineage.manifest import read_manifest


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
    )
    return {"sources": sources, "users": users, "cases": cases.at(places)}


def test_recall_by_weight_equals_recall_of_scores_over_the_whole_corpus(parts, monkeypatch):
    monkeypatch.setattr("index.source_weight.SHORTLIST", 12)
    sources, cases = parts["sources"], parts["cases"]

    found = recall_by_weight(**parts)

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
        assert found[weight] == pytest.approx(
            np.mean(shares), abs=0.02
        )  # an item 13th in both is missed
    assert SHORTLIST == 200


def test_no_cases_are_refused(parts):
    no_cases = parts["cases"].select(np.empty(0, np.int64))

    with pytest.raises(ValueError, match="cases must have at least one user, got none"):
        recall_by_weight(**{**parts, "cases": no_cases, "users": parts["users"][:0]})


def test_the_trial_chooses_the_weight_of_highest_recall_and_the_index_uses_it(release):
    facts = read_manifest(release / "trial/index", "index").facts

    recalls = {float(weight): share for weight, share in facts["recall by weight"].items()}
    assert set(recalls) == set(WEIGHTS)
    assert recalls[facts["neighbour weight"]] == max(recalls.values())
    served = read_manifest(release / "index", "index").facts
    assert served["neighbour weight"] == facts["neighbour weight"]
