import numpy as np
import pytest

from benchmarks.language.text_peers import LABEL_PEERS, Learnt, words_ridge
from tests.conftest import COLOURS, THINGS

TEXTS = [f"{colour} {thing}" for colour in COLOURS[:3] for thing in THINGS[:8]]
CLASSES = np.repeat(np.arange(3), 8)
PACKAGES = {
    "TF-IDF + SVM": "sklearn",
    "embedding + logistic regression": "sentence_transformers",
    "SetFit": "setfit",
}


@pytest.mark.parametrize("name", LABEL_PEERS)
@pytest.mark.filterwarnings("ignore")  # of the peer's own packages
def test_a_peer_learns_labels(name, tiny_bert):
    pytest.importorskip(PACKAGES[name], exc_type=ImportError)
    learnt = Learnt(texts=TEXTS, classes=CLASSES, backbone=str(tiny_bert), setfit_pairs=2, seed=0)

    found = LABEL_PEERS[name](learnt)([f"{colour} {THINGS[9]}" for colour in COLOURS[:3]])

    assert (found.classes == np.arange(3)).sum() >= 2
    assert found.confidence is None or ((found.confidence > 0) & (found.confidence <= 1)).all()


def test_words_learn_numbers():
    pytest.importorskip("sklearn")
    numbers = CLASSES + 0.01 * np.arange(len(TEXTS))

    found = words_ridge(TEXTS, numbers)(TEXTS)

    assert np.corrcoef(found, numbers)[0, 1] > 0.9
