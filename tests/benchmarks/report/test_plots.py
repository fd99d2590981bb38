import pytest

from benchmarks.report.plots import bar_plot, speed_plot


def figure(value: float, spread: float = 0.0):
    return {"value": value, "low": value - spread, "high": value + spread}


def test_bar_lengths_are_percent_of_a_round_axis():
    plot = bar_plot("recall@10", {"a": figure(0.1, 0.02), "b": figure(0.05)}, own=["b"])

    assert [tick.label for tick in plot.ticks] == ["0", "0.05", "0.1", "0.15"]
    assert [tick.at for tick in plot.ticks] == pytest.approx([0, 33.33, 66.67, 100])
    first, second = plot.bars
    assert (first.low, first.length, first.high) == pytest.approx((53.33, 66.67, 80))
    assert (first.own, second.own) == (False, True)


@pytest.mark.parametrize("largest", [1e-6, 0.0009, 0.2, 0.4, 1.0, 7.3])
def test_every_interval_fits_the_axis(largest):
    plot = bar_plot("x", {"a": figure(largest), "b": figure(largest / 3)})

    assert all(0 <= bar.high <= 100 for bar in plot.bars)
    assert max(bar.high for bar in plot.bars) > 50
    assert 3 <= len(plot.ticks) <= 6


def test_figures_of_0_have_an_axis():
    assert bar_plot("x", {"a": figure(0.0)}).bars[0].length == 0


def test_points_of_speed_are_placed_on_round_axes_the_best_first():
    plot = speed_plot("speed", {"slow": (100.0, 0.82), "quick": (300.0, 0.71)}, taken="quick")

    assert [point.label for point in plot.points] == ["slow", "quick"]
    assert [tick.label for tick in plot.x_ticks] == ["0", "100", "200", "300", "400"]
    assert [tick.label for tick in plot.y_ticks] == ["0.70", "0.75", "0.80", "0.85"]
    assert (plot.points[1].x, plot.points[1].y) == (75.0, 6.67)
    assert plot.points[1].taken
