"""`python -m benchmarks.quality.newest`: what the newest days' purchases are worth."""

from rich.console import Console

from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.report.tables import intervals_table
from lineage.cli import configure_logging, reported_errors
from towers.config import TowersConfig


def main() -> None:
    """Measure on a dataset with times, print a table for each test, and write `newest.json`."""
    options = parser(
        "python -m benchmarks.quality.newest",
        "Towers and neighbour lists with the newest days learnt, beside without.",
        TowersConfig,
    )
    options.add_argument("--cuts", type=int, default=4, help="tests, one after the other in time")
    options.add_argument("--newest", type=int, default=7, help="days that one training lacks")
    options.add_argument("--tested", type=int, default=14, help="days of each test")
    options.add_argument("--weight", type=float, default=0.5, help="of the neighbour lists")
    options.add_argument("--towers", type=bool, default=True, help="false: item-kNN alone")
    parsed = options.parse_args()
    from benchmarks.quality.newest_days import compare

    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        root, reports = folders(arguments)
        asked = {name: arguments[name] for name in ("cuts", "newest", "tested", "weight", "towers")}
        figures = compare(configuration(arguments, TowersConfig), root, **asked)
        for day, systems in figures.items():
            Console(width=120).print(intervals_table(f"{root.name}: test from {day}", systems))
        save_figures(reports, "newest", {"options": asked, "tests": figures})


if __name__ == "__main__":
    main()
