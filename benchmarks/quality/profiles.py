"""`python -m benchmarks.quality.profiles`: whether profiles predict the next item's attributes."""

from rich.console import Console

from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.quality.config import BenchConfig
from benchmarks.report.tables import intervals_table
from lineage.cli import configure_logging, reported_errors
from lineage.manifest import read_manifest
from lineage.stages import CASCADE

CALIBRATIONS = ("calibration of the likeliest value", "calibration of all listed values")


def main() -> None:
    """Score the profiles of a release, print tables, and write `profiles.json` and a picture."""
    parsed = parser(
        "python -m benchmarks.quality.profiles",
        "How often the next item has the likeliest value of a profile, and calibration.",
        BenchConfig,
    ).parse_args()
    from benchmarks.quality.profile_figures import score
    from benchmarks.report.reliability import write_picture

    configure_logging()
    with reported_errors():
        root, reports = folders(parsed)
        attributes = score(configuration(parsed, BenchConfig), parsed.dataset, root)
        versions = {stage: read_manifest(root / stage, stage).fingerprint for stage in CASCADE}
        console = Console(width=120)
        for name, figures in attributes.items():
            title = f"{root.name}: {name} of the next item, {figures['cases']:,} cases"
            rows = {of: {"top-1 accuracy": value} for of, value in figures["accuracy"].items()}
            console.print(intervals_table(title, rows))
            for kind in CALIBRATIONS:
                console.print(f"{kind}: error {figures[kind]['error']:.4f}")
        save_figures(reports, "profiles", {"made from": versions, "attributes": attributes})
        write_picture(reports / "profiles.svg", attributes)


if __name__ == "__main__":
    main()
