import numpy as np

from dataset.spans import intersected, united

SIZE = 40


def random_spans(rng):
    return [tuple(rng.integers(0, SIZE, 2).tolist()) for _ in range(rng.integers(8))]


def positions(spans):
    return {place for start, stop in spans for place in range(start, stop)}


def test_united_and_intersected_spans_agree_with_sets():
    rng = np.random.default_rng(5)
    for _ in range(500):
        some, others = random_spans(rng), random_spans(rng)

        union, both = united(some), intersected(united(some), united(others))

        assert positions(union) == positions(some)
        assert positions(both) == positions(some) & positions(others)
        for spans in (union, both):
            edges = [edge for span in spans for edge in span]
            assert edges == sorted(set(edges))
