"""`python -m benchmarks.language.compression`: quality, size and speed of smaller backbones."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.command import configuration, parser, save_figures
from benchmarks.report.plots import speed_plot
from benchmarks.report.templates import environment
from classifier.config import ClassifierConfig
from dataset.labelled_texts import table_name
from lineage.cli import configure_logging, reported_errors
from lineage.options import OptionParser
from lineage.whole_files import replacing

if TYPE_CHECKING:
    from benchmarks.language.compressed import Figures


def main() -> None:
    """Measure on a table, print a table, write `compression.json` and `compression.svg`."""
    made = options()
    parsed = made.parse_args()
    configure_logging()
    with reported_errors():
        from benchmarks.language.compressed import Wanted, measure

        arguments = made.instantiate(parsed)
        name, reports = table_name(arguments.dataset), arguments.reports
        figures = measure(
            configuration(arguments, ClassifierConfig),
            arguments.dataset,
            arguments.artifacts / name,
            Wanted(
                backbones=arguments.backbones,
                layers=tuple(arguments.layers),
                heads=arguments.heads,
                rounds=arguments.rounds,
            ),
            shots=arguments.shots,
        )
        Console(width=140).print(shown(f"{name}: heads on frozen backbones", figures))
        save_figures(reports / name, "compression", figures)
        with replacing(reports / name / "compression.svg") as partial:
            partial.write_text(pictured(figures, next(iter(arguments.backbones), "")))


def options() -> OptionParser:
    """Parser of the options."""
    made = parser(
        "python -m benchmarks.language.compression",
        "Backbones with fewer layers, fewer heads or fewer bits, beside the whole one of the "
        "configuration: accuracy of heads that learn a table, size and speed. NNCF and OpenVINO "
        "are measured where they are installed.",
        ClassifierConfig,
    )
    made.add_argument(
        "--backbones",
        type=dict[str, str],
        default={},
        help="more backbones by name, such as the folder that `make distil` wrote: "
        '`{"distilled 3": "artifacts/messages/distilled"}`',
    )
    made.add_argument("--layers", type=list[int], default=[3, 2], help="layers of pruned backbones")
    made.add_argument("--heads", type=int, default=6, help="heads of a pruned layer; 0: none")
    made.add_argument("--shots", type=int, default=0, help="examples of a label; 0: all")
    made.add_argument("--rounds", type=int, default=20, help="measured batches of each backbone")
    return made


def shown(title: str, figures: "Mapping[str, Figures]") -> Table:
    """Table of the figures for the terminal."""
    columns = ("accuracy", "minus whole", "cosine", "MB", "ms, 1 text", "texts/s", "training s")
    table = Table("", *columns, title=title)
    for name, row in figures.items():
        gap = row["difference"]
        table.add_row(
            name,
            f"{row['accuracy']['value']:.4f}",
            f"{gap['value']:+.4f} ({gap['low']:+.4f} to {gap['high']:+.4f})",
            "" if row["cosine"] is None else f"{row['cosine']:.4f}",
            f"{row['megabytes']:.0f}",
            f"{row['milliseconds']:.1f}",
            f"{row['texts_a_second']:.0f}",
            f"{row['training_seconds']:.0f}",
        )
    return table


def pictured(figures: "Mapping[str, Figures]", marked: str) -> str:
    """Picture of accuracy over texts a second, as they are served."""
    points = {
        name: (row["texts_a_second"], row["accuracy"]["value"])
        for name, row in figures.items()
        if not name.endswith("fp32")
    }
    plot = speed_plot("Accuracy over texts a second", points, marked)
    return environment().get_template("operating_points.svg.j2").render(plot=plot)


if __name__ == "__main__":
    main()
