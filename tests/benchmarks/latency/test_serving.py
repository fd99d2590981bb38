import asyncio
import json
import sys
from types import SimpleNamespace

import pytest

from benchmarks.latency import serving, under_load
from benchmarks.latency.load import Outcome
from benchmarks.latency.server_process import resident, running, two_releases
from benchmarks.latency.serving import ServingConfig, as_table, measured, one_at_a_time
from benchmarks.latency.under_load import Served, outcome, overload, steady
from benchmarks.latency.usual_stack import peer
from lineage.releases import live_id, release_ids
from shortlist_client.api.request import Shopper

SERVED = Served(address="a:1", process=7, releases=None, ids=["one", "two"], capacity=100.0)
SHOPPERS = [Shopper(history=("i1",)), Shopper(history=("i2",))]


class Clock:
    """A clock that only fake calls advance."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr("time.perf_counter", lambda: self.now)

    def taking(self, milliseconds):
        """A function whose calls take the given times, one after another."""
        remaining = iter(milliseconds)

        def call(*_, **__):
            self.now += next(remaining) / 1e3

        return call


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


class FakeClient:
    def __init__(self, recommend=None, retrieve=None):
        self.recommend, self.retrieve = recommend, retrieve

    def __call__(self, address, *, timeout):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_one_in_flight_excludes_the_warm_up_and_reports_the_overhead_of_grpc(clock, monkeypatch):
    warm, hundred = [1000.0] * 20, [float(n) for n in range(1, 102)]
    client = FakeClient(clock.taking([*warm, *hundred]), clock.taking([*warm, *[3.0] * 101]))
    engine = SimpleNamespace(recommend=clock.taking([*warm, *[n - 0.5 for n in hundred]]))
    monkeypatch.setattr(serving, "RecommenderClient", client)

    found = one_at_a_time(engine, "a:1", SHOPPERS, ServingConfig(requests=101))

    assert found == {
        "recommend p50 ms": 51.0,
        "recommend p99 ms": 100.0,
        "retrieve p50 ms": 3.0,
        "retrieve p99 ms": 3.0,
        "bare engine p50 ms": 50.5,
        "bare engine p99 ms": 99.5,
        "overhead p50 ms": 0.5,
    }


def test_the_peer_is_timed_without_its_first_two_requests(clock, monkeypatch):
    times = clock.taking([9000.0, 9000.0, 100.0, 200.0, 600.0])
    monkeypatch.setattr("benchmarks.latency.usual_stack.stack", lambda data, backbone: times)

    found = peer(None, [SHOPPERS[0]] * 5, "tiny")

    assert found == {"p50 ms": 200.0, "requests a second": round(1000 / 300, 3)}


def test_the_usual_stack_returns_distinct_items_for_a_history(shop, tiny_bert):
    pytest.importorskip("sentence_transformers")
    from benchmarks.latency.usual_stack import stack

    recommend = stack(shop, str(tiny_bert))

    rows = recommend(Shopper(history=("i3", "i4")))
    assert len(set(rows.tolist())) == 20
    assert set(rows.tolist()) <= set(range(240))


def test_outcome_reports_counts_and_latencies():
    found = Outcome(
        answered=[1.0, 2.0, 3.0], refused=[10.0, 20.0], failed=["b", "a", "b"], seconds=2.0
    )

    assert outcome(found) == {
        "answered a second": 1.5,
        "p50 ms": 2.0,
        "p99 ms": 2.98,
        "failed": 3,
        "failures": ["a", "b"],
        "refused": 2,
        "refused p99 ms": 19.9,
    }


def answering(clock, outcomes, asked):
    """A replacement for `at_rate` that returns the given outcomes."""

    async def at_rate(address, requests, rate, seconds):
        asked.append((rate, seconds))
        clock.now += seconds
        return outcomes.pop(0)

    return at_rate


def test_overload_compares_with_normal_load_and_waits_for_ten_quick_answers(clock, monkeypatch):
    normal = Outcome(answered=[10.0] * 100, seconds=5.0)
    overloaded = Outcome(answered=[25.0] * 100, refused=[1.0, 3.0], seconds=5.0)
    asked, latencies = [], iter([30.0, 5.0, 5.0, 11.0, *[10.0] * 10, 99.0])
    monkeypatch.setattr(under_load, "at_rate", answering(clock, [normal, overloaded], asked))

    async def one(address, requests, count, seconds):
        clock.now += 0.25
        return Outcome(answered=[next(latencies)], seconds=seconds)

    monkeypatch.setattr(under_load, "in_flight", one)

    figures = overload(SERVED, [], 5.0)

    assert asked == [(80.0, 5.0), (300.0, 5.0)]
    assert figures["accepted p99 / normal p99"] == 2.5
    assert figures["recovery s"] == 0.25 * 14
    assert (figures["normal"]["refused"], figures["overload"]["refused"]) == (0, 2)
    assert figures["overload"]["refused p99 ms"] == 2.98


def test_the_wait_for_a_recovery_ends_after_a_minute(clock, monkeypatch):
    outcomes = [Outcome(answered=[10.0], seconds=1.0) for _ in range(2)]
    monkeypatch.setattr(under_load, "at_rate", answering(clock, outcomes, []))

    async def none(address, requests, count, seconds):
        clock.now += 1.0
        return Outcome(failed=["UNAVAILABLE: gone"], seconds=seconds)

    monkeypatch.setattr(under_load, "in_flight", none)

    assert overload(SERVED, [], 1.0)["recovery s"] == 60.0


@pytest.mark.parametrize(
    ("reloads", "live", "last", "grown"),
    [
        (3, "two", True, 1.1),
        (2, "two", False, 1.048),
        (0, "one", True, 2.0),
    ],
)
def test_releases_alternate_and_memory_is_compared_with_the_first_reload(
    monkeypatch, reloads, live, last, grown
):
    memory = [100, 200, 210, 220, 231][: reloads + 2]
    went_live, readings = [], list(memory)
    monkeypatch.setattr(under_load, "go_live", lambda _, release_id: went_live.append(release_id))
    monkeypatch.setattr(under_load, "resident", lambda process: readings.pop(0))
    answer = SimpleNamespace(versions={"release": live})
    monkeypatch.setattr(
        under_load, "RecommenderClient", FakeClient(retrieve=lambda shopper, wishes: answer)
    )

    async def at_rate(address, requests, rate, seconds):
        assert (rate, seconds) == (80.0, 0.04)
        while len(went_live) < reloads:
            await asyncio.sleep(0.005)
        return Outcome(answered=[2.0] * 98 + [8.0] * 4, seconds=seconds)

    monkeypatch.setattr(under_load, "at_rate", at_rate)

    figures = steady(SERVED, [], 0.04, reloads)

    assert went_live == ["two", "one", "two"][:reloads]
    assert figures["reloads"] == reloads
    assert figures["the last is live"] is last
    assert figures["resident MiB"] == memory
    assert figures["memory last / first reload"] == grown
    assert figures["p99 / p50"] == 4.0
    assert figures["failed"] == 0


def test_two_releases_are_published_and_the_first_is_live(release, tmp_path):
    releases = tmp_path / "releases" / "shop"

    ids = two_releases(release, releases)

    assert sorted(ids) == sorted(release_ids(releases))
    assert len(set(ids)) == 2
    assert live_id(releases) == ids[0]


def test_a_server_that_does_not_start_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(RuntimeError, match="ended with status 1"), running(tmp_path):
        pass


def test_resident_memory_is_in_mib():
    assert 10 < resident("self") < 100_000


@pytest.mark.parametrize(
    "wrong", [{"requests": 0}, {"seconds": 0.0}, {"steady_seconds": -1.0}, {"reloads": -1}]
)
def test_serving_config_refuses_invalid_values(wrong):
    (name,) = wrong

    with pytest.raises(ValueError, match=f"^{name} must"):
        ServingConfig(**wrong)


def test_the_table_has_one_row_per_figure():
    table = as_table("shop", {"a": {"p50 ms": 1.5, "p99 ms": 2}, "times": 3.0})

    assert list(table.columns[0].cells) == ["a: p50 ms", "a: p99 ms", "times"]
    assert list(table.columns[1].cells) == ["1.5", "2", "3.0"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_figures_are_measured_on_a_real_server(release, tmp_path, monkeypatch):
    peer_figures = {"p50 ms": 1000.0, "requests a second": 0.5}
    monkeypatch.setattr(serving, "peer", lambda data, queries, backbone: peer_figures)
    config = ServingConfig(requests=30, seconds=1.0, steady_seconds=4.0, reloads=1)

    found = measured(config, release, tmp_path)

    alone, full = found["one in flight"], found["32 in flight"]
    assert 0 < alone["bare engine p50 ms"] <= alone["bare engine p99 ms"]
    speedup = found["p50: times as fast as the peer"]
    assert speedup == round(1000.0 / alone["recommend p50 ms"], 1)
    throughput_ratio = found["requests a second: times the peer's"]
    assert throughput_ratio == pytest.approx(full["answered a second"] / 0.5, abs=0.3)
    assert full["failed"] == found["80% of capacity"]["failed"] == 0
    assert found["as many at random"]["answered a second"] > 0
    assert found["80% of capacity"]["the last is live"]
    assert found["3 × overload"]["overload"]["failed"] == 0
    json.dumps(found)
