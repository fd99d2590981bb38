import shutil
import sys
from xml.etree import ElementTree as ET

import pytest

from benchmarks.index.operating_points import PLOT, draw, main, points_table
from benchmarks.report.plots import point_plot
from index.stage import CURVE, POINT
from lineage.manifest import MANIFEST, read_manifest


def test_the_plot_shows_latency_from_left_to_right_and_recall_upwards():
    figures = {"a": (0.1, 0.9), "b": (1.0, 0.99), "c": (10.0, 1.0)}

    plot = point_plot("x", figures, "b", 0.98)

    assert [point.x for point in plot.points] == pytest.approx([0, 50, 100])
    assert [point.y for point in plot.points] == pytest.approx([25, 50, 100])
    assert [point.taken for point in plot.points] == [False, True, False]
    assert [tick.label for tick in plot.x_ticks] == ["0.1 ms", "1 ms", "10 ms"]
    assert "0.98" in [tick.label for tick in plot.y_ticks]


def test_a_plot_of_one_point_has_axes():
    plot = point_plot("x", {"": (1.0, 1.0)}, "", 0.98)

    assert (plot.points[0].x, plot.points[0].y) == (0, 100)


def test_the_drawing_holds_every_point_and_marks_the_chosen_one(tmp_path):
    figures = {"nprobe=1 <&": (0.1, 0.9), "nprobe=2": (1.0, 0.99)}
    draw(tmp_path / "plot.svg", point_plot("a & b", figures, "nprobe=2", 0.98))

    drawn = ET.parse(tmp_path / "plot.svg").iter("{http://www.w3.org/2000/svg}circle")
    assert {dot[0].text: dot.get("class") for dot in drawn} == {
        "nprobe=1 <&": "point",
        "nprobe=2": "taken",
    }


def test_make_tune_rebuilds_and_shows_every_point(release, tmp_path, monkeypatch, capsys):
    root = shutil.copytree(release, tmp_path / "artifacts" / "shop")
    line = ["tune", "--dataset", "shop", "--artifacts", str(root.parent), "--kind", "ivf-sq"]
    line += ["--nlist", "16", "--target_recall", "0.9", "--reports", str(tmp_path / "reports")]
    monkeypatch.setattr(sys, "argv", line)

    main()
    made = (root / "index" / MANIFEST).stat().st_mtime_ns
    main()

    again = read_manifest(root / "index", "index")
    assert (root / "index" / MANIFEST).stat().st_mtime_ns > made
    assert (tmp_path / "reports" / "shop" / PLOT).is_file()
    assert again.facts[POINT] in capsys.readouterr().out
    assert points_table("shop", again.facts).row_count == len(again.facts[CURVE]) > 2
