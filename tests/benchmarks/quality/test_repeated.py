from dataclasses import replace

import numpy as np
import pytest

from benchmarks.quality.config import BenchConfig
from benchmarks.quality.evaluate import benchmark
from benchmarks.quality.repeated import by_repeat, come_back
from tests.conftest import make_shop


@pytest.fixture
def cases(shop):
    """Three cases, of which the first two have a target of the history."""
    three = shop.cases("test").select(np.arange(3))
    old = [history[:1] for history in three.histories]
    new = three.targets
    return replace(
        three,
        targets=[np.sort(np.append(old[0], new[0])), old[1], new[2]],
        excluded=[three.histories[0][1:], three.histories[1][1:], three.histories[2]],
    )


def test_new_targets_and_those_of_the_history_have_their_own_figures(cases):
    everything = np.tile(np.arange(240, dtype=np.int32), (3, 1))
    first = np.array([history[:1] for history in cases.histories], np.int32)
    none = np.full((3, 5), -1, np.int32)

    figures = by_repeat({"all": everything, "first": first, "none": none}, cases, 0)

    assert [name.split(", ")[0] for name in figures] == (
        ["new targets"] * 3 + ["targets of the history"] * 3
    )
    for kind, of_systems in figures.items():
        assert "(2 cases)" in kind
        assert of_systems["none"]["value"] == 0
        assert of_systems["first"]["value"] == ("history" in kind)
        if "recall@100" not in kind:
            continue
        found = [targets < 100 for targets in cases.targets]
        old = [np.isin(t, h) for t, h in zip(cases.targets, cases.histories, strict=True)]
        chosen = old if "history" in kind else [~of for of in old]
        shares = [f[c].mean() for f, c in zip(found, chosen, strict=True) if c.any()]
        assert of_systems["all"]["value"] == pytest.approx(np.mean(shares))


def test_cases_without_targets_of_the_history_have_no_such_figures(shop, cases):
    plain = shop.cases("test").select(np.arange(3))

    assert by_repeat({"none": np.full((3, 5), -1, np.int32)}, plain, 0) == {}
    assert not come_back(plain)
    assert come_back(cases)


@pytest.mark.numeric
@pytest.mark.slow
def test_a_shop_whose_purchases_come_back_learns_recommends_and_reports_them(
    tmp_path, build_release
):
    shop = make_shop(users=80)
    items = shop.items.copy()
    items[6::7] = items[4::7]  # everybody buys the last item of the training again
    again = replace(shop, items=items, repeats=0.0)
    root = build_release(tmp_path / "again", again, epochs=1, uniform=40)

    report = benchmark(BenchConfig(max_users=80, examples=2), "again", root, tmp_path)

    assert report.history == "included"
    (kind,) = (name for name in report.slices if "targets of the history, recall@100" in name)
    assert report.slices[kind]["buy again"]["value"] == 1
    assert report.slices[kind]["cascade"]["value"] > 0
    assert report.systems["cascade"]["recall@100"]["value"] > 0
