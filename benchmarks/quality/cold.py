"""`python -m benchmarks.quality.cold`: recall of items that nobody bought in training."""

from rich.console import Console

from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.report.tables import intervals_table
from lineage.cli import configure_logging, reported_errors
from towers.config import TowersConfig


def main() -> None:
    """Measure on a dataset, print a table, and write `cold.json`."""
    options = parser(
        "python -m benchmarks.quality.cold", "Recall of items new to the towers.", TowersConfig
    )
    options.add_argument("--share", type=float, default=0.05, help="share of the items held out")
    parsed = options.parse_args()
    from benchmarks.quality.new_items import compare

    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        root, reports = folders(arguments)
        systems = compare(configuration(arguments, TowersConfig), root, arguments.share)
        Console(width=120).print(intervals_table(f"{root.name}: items held out", systems))
        save_figures(reports, "cold", {"share": arguments.share, "systems": systems})


if __name__ == "__main__":
    main()
