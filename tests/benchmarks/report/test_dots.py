import pytest

from benchmarks.report.dots import axis, dot_plot, square


def figure(value, spread=0.0):
    return {"value": value, "low": value - spread, "high": value + spread}


def test_dots_of_all_rows_share_an_axis_that_holds_0():
    plot = dot_plot("x", {"a": {"s": figure(0.2, 0.1)}, "b": {"t": figure(-0.05)}}, ["s", "t"])

    assert [tick.label for tick in plot.ticks] == ["-0.1", "0", "0.1", "0.2", "0.3"]
    assert plot.zero == 25
    (first,), (second,) = (row.dots for row in plot.rows)
    assert (first.series, first.low, first.x, first.high) == (0, 50, 75, 100)
    assert (second.series, second.x) == (1, 12.5)


def test_curves_are_placed_between_round_ends():
    plot = square("t", "x", "y", {1: [(0.61, 0.051, "a"), (0.98, 0.094, "b")]})

    assert [tick.label for tick in plot.x_ticks] == ["0.6", "0.7", "0.8", "0.9", "1"]
    (curve,) = plot.curves
    assert curve.series == 1
    assert curve.points[0][:2] == pytest.approx((2.5, 18.33), abs=0.01)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (3.0, 3.0), (-2.0, 5.0), (0.0, 1e-5)])
def test_an_axis_holds_its_figures_and_is_not_empty(low, high):
    start, end, step = axis(low, high)

    assert start <= low + 1e-12
    assert end >= high - 1e-12
    assert end - start >= step * 0.999
