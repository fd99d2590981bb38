"""`python -m benchmarks.quality.few_data`: towers on a share of the users, from scratch or not."""

from collections.abc import Mapping

from rich.console import Console

from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.report.lines import LinePlot, rendered
from benchmarks.report.tables import intervals_table
from evaluation.intervals import Interval
from lineage.cli import configure_logging, reported_errors
from lineage.whole_files import replacing
from towers.config import TowersConfig


def main() -> None:
    """Measure on a dataset, print tables, write `few_data.json` and `few_data.svg`."""
    options = parser(
        "python -m benchmarks.quality.few_data",
        "Towers that learn from a share of a shop's users: from scratch, and started from the "
        "towers of another shop (--start_from).",
        TowersConfig,
    )
    options.add_argument(
        "--shares", type=list[float], default=[0.0, 0.01, 0.1, 1.0], help="shares of the users"
    )
    options.add_argument(
        "--draws", type=int, default=3, help="draws of the users of each share below 1"
    )
    options.add_argument(
        "--held_out", type=float, default=0.05, help="share of the items that are new in the test"
    )
    parsed = options.parse_args()
    from benchmarks.quality.shares import COLD, NDCG, measure

    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        root, reports = folders(arguments)
        figures = measure(
            configuration(arguments, TowersConfig),
            root,
            arguments.shares,
            draws=arguments.draws,
            held_out=arguments.held_out,
        )
        for metric, by_share in figures.items():
            Console(width=140).print(intervals_table(f"{root.name}: {metric}", by_system(by_share)))
        save_figures(reports, "few_data", {"start_from": arguments.start_from, "figures": figures})
        plots = [
            LinePlot.of(f"{root.name}: {metric} by share of the users", figures[metric])
            for metric in (NDCG, COLD)
        ]
        picture = reports / "few_data.svg"
        with replacing(picture) as partial:
            partial.write_text(rendered(plots))


def by_system(by_share: Mapping[str, Mapping[str, Interval]]) -> dict[str, dict[str, Interval]]:
    """Figures by system and share."""
    systems = next(iter(by_share.values()))
    return {name: {share: of[name] for share, of in by_share.items()} for name in systems}


if __name__ == "__main__":
    main()
