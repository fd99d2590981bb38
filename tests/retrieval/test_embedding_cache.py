import re
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from retrieval.cache_config import CacheConfig
from retrieval.embedding_cache import EmbeddingCache


def rows_of(numbers):
    return np.repeat(np.array(numbers, np.float32)[:, None], 3, axis=1)


class Computing:
    """Computes a row from each numeric key, and records the computed places."""

    def __init__(self):
        self.places = []

    def of(self, cache, *keys):
        def compute(places):
            self.places.append(list(places))
            return rows_of([int(keys[place] or 0) for place in places])

        found = cache([None if key is None else str(key).encode() for key in keys], compute)
        assert found.dtype == np.float32
        return found[:, 0].tolist()


@pytest.fixture
def computing():
    return Computing()


def test_a_cached_row_is_not_computed_again(computing):
    cache = EmbeddingCache(10, 60.0)

    assert computing.of(cache, 1, 2) == [1, 2]
    assert computing.of(cache, 3, 2, 4, 1) == [3, 2, 4, 1]
    assert computing.of(cache, 4, 3) == [4, 3]

    assert computing.places == [[0, 1], [0, 2]]
    assert (cache.lookups.hits, cache.lookups.misses) == (4, 4)


def test_a_row_without_a_key_is_computed_each_time(computing):
    cache = EmbeddingCache(10, 60.0)

    computing.of(cache, None, 1)
    computing.of(cache, None, 1)

    assert computing.places == [[0, 1], [0]]


def test_the_least_recently_used_row_is_evicted_first(computing):
    cache = EmbeddingCache(2, 60.0)

    for key in (1, 2, 1, 3, 1, 2):
        computing.of(cache, key)

    assert len(computing.places) == 4  # 1, 2, 3, and 2 again


def test_a_row_expires_after_its_time_to_live(computing):
    cache = EmbeddingCache(10, 0.05)
    computing.of(cache, 1)

    time.sleep(0.1)
    computing.of(cache, 1)

    assert len(computing.places) == 2


def test_changing_a_returned_row_does_not_change_the_cache(computing):
    cache = EmbeddingCache(10, 60.0)
    for _ in range(3):
        row = cache([b"1"], lambda _: rows_of([1]))
        assert row[0].tolist() == [1, 1, 1]
        row[:] = 7


def test_concurrent_threads_get_their_own_rows(computing):
    cache = EmbeddingCache(20, 60.0)
    chosen = np.random.default_rng(0).integers(50, size=(400, 3)).tolist()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda keys: computing.of(cache, *keys), chosen)) == chosen


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"answers_mb": -1}, "answers_mb must be at least 0, got -1"),
        ({"shoppers": -1}, "shoppers must be at least 0, got -1"),
        ({"seconds": 0}, "seconds must be positive, got 0"),
    ],
)
def test_an_invalid_configuration_is_refused(options, rule):
    with pytest.raises(ValueError, match=re.escape(rule)):
        CacheConfig(**options)
