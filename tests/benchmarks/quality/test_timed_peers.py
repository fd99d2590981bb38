from dataclasses import replace

import numpy as np
import pytest

from benchmarks.quality.timed_peers import _fitted
from dataset.arrays import TEST, TRAIN, load_dataset
from dataset.baskets import Baskets


@pytest.fixture(scope="module")
def data(release):
    return load_dataset(release / "data")


def test_item_knn_learns_from_baskets_without_a_user_of_the_training_split(data):
    """Items 200 and 201 share a basket of nobody twice, items 202 and 203 one of the test."""
    baskets = Baskets(
        offsets=np.array([0, 2, 4, 6]),
        items=np.array([200, 201, 200, 201, 202, 203], np.int32),
        times=np.zeros(6, np.int64),
        actions=np.zeros(6, np.int32),
        splits=np.array([TRAIN] * 4 + [TEST] * 2, np.uint8),
    )

    before = _fitted(data).similarity
    after = _fitted(replace(data, purchases_without_user=baskets)).similarity

    assert after[200, 201] > before[200, 201] + 0.1
    assert after[202, 203] == before[202, 203]
    assert after[3, 11] == before[3, 11]
