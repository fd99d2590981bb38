import pytest

from benchmarks.latency.ranking import latencies
from ranker.config import RankerConfig


def test_every_system_is_timed_and_compared_with_ours(release, tiny_bert):
    pytest.importorskip("sentence_transformers")

    found = latencies(RankerConfig(backbone=str(tiny_bert)), release, rounds=1)

    assert [one.system for one in found] == ["ours", "CrossEncoder, fp32", "CrossEncoder, bf16"]
    for one in found:
        assert 0 < one.p50 <= one.p99
        assert one.times_slower == pytest.approx(one.p50 / found[0].p50, rel=0.05, abs=0.06)
