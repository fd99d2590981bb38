"""`python -m benchmarks.online.statistics`: whether the statistics keep their promises."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonargparse
from rich.console import Console
from rich.table import Table

from benchmarks.command import configuration, machine, save_figures
from lineage.cli import configure_logging, reported_errors
from lineage.options import OptionParser

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class StatisticsConfig:
    """Sizes of the simulations."""

    seeds: int = 1000
    """A/B tests of each kind."""
    power_seeds: int = 200
    """Tests that check the power of the needed users."""
    logs: int = 100
    """Logs of explored answers."""
    users: int = 4000
    """Users of an A/B test."""
    days: int = 14
    """Days of an A/B test and of interleaving."""
    looks: int = 30
    """Days of a test that is looked at daily."""
    answers: int = 20_000
    """Answers of a log."""
    share: float = 0.1
    """Share of a log's places that are explored."""
    temperature: float = 1.0
    """Temperature of the exploration."""
    shoppers: int = 2000
    """Different shoppers of the simulated shop."""

    def __post_init__(self) -> None:
        for name in ("seeds", "power_seeds", "logs", "days", "looks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


def main() -> None:
    """Simulate, print tables, and write `statistics.json`."""
    parser = options()
    parsed = parser.parse_args()
    configure_logging()
    with reported_errors():
        arguments = parser.instantiate(parsed)
        figures = measure(configuration(arguments, StatisticsConfig))
        for table in tables(figures):
            Console(width=110).print(table)
        save_figures(arguments.reports, "statistics", figures)


def options() -> OptionParser:
    """Parser of the options."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    made = OptionParser(
        prog="python -m benchmarks.online.statistics",
        description="Coverage of intervals, false alarms of daily looks, users that interleaving "
        "needs and errors of off-policy estimates, in a simulated shop whose truth is known.",
    )
    made.add_config("statistics.yaml")
    made.add_argument("--reports", type=Path, default=Path("reports"), help="output folder")
    made.add_class_arguments(StatisticsConfig)
    return made


def measure(config: StatisticsConfig) -> Mapping[str, Any]:
    """All figures, by their group."""
    from benchmarks.online.ab_tests import coverage, daily_looks, widths
    from benchmarks.online.interleaved import drafts, needed
    from benchmarks.online.unseen_rankings import repeated
    from benchmarks.online.world import made_world, ranked, scores
    from online.exploration.plackett_luce import Exploration

    world = made_world(0, users=config.shoppers)
    live = scores(world, seed=1, shared=0.6, own=0.6)
    new = scores(world, seed=2, shared=0.6, own=0.5)
    much_better = scores(world, seed=3, shared=0.6, own=0.1)
    rankings = ranked(live), ranked(new)
    seeds, users = range(config.seeds), config.users
    tests = coverage(world, rankings, seeds=seeds, users=users, days=config.days)
    alarms, seen = (
        daily_looks(world, (rankings[0], other), seeds=seeds, users=users, days=config.looks)
        for other in (rankings[0], ranked(much_better))
    )
    interleaving = needed(
        world,
        (live, new),
        drafts(world, (live, new), seed=0),
        seeds=range(config.power_seeds),
        days=config.days,
    )
    exploration = Exploration(share=config.share, temperature=config.temperature)
    few = max(1, config.logs // 5)
    (logs, refused), (of_ended, ended_refused) = (
        repeated(
            replace(world, ends=ends),
            live,
            rankings[1],
            exploration,
            seeds=range(count),
            answers=config.answers,
        )
        for ends, count in ((0.0, config.logs), (1.0, few))
    )
    if refused == config.logs:
        raise ValueError(f"answers must be more, got {config.answers}: every log was refused")
    value = world.value(rankings[0])
    return {
        "machine": machine(),
        "configuration": asdict(config),
        "A/B": {
            "lift": world.value(rankings[1]) / value - 1,
            "sample ratio alarms": _share(tests["sample ratio"][:, 0]),
            "figures": {
                name: {
                    "covered of the first 100": int(rows[:100, 0].sum()),
                    "coverage": _share(rows[:, 0]),
                    "mean width": float(rows[:, 1].mean()),
                }
                for name, rows in tests.items()
                if name != "sample ratio"
            },
        },
        "daily looks": {
            "half-widths": widths(config.users, config.looks),
            "false alarms": {name: _share(days > 0) for name, days in alarms.items()},
            "lift of a difference": world.value(ranked(much_better)) / value - 1,
            "seen": {name: _share(days > 0) for name, days in seen.items()},
            "median day": {name: _median(days) for name, days in seen.items()},
        },
        "interleaving": interleaving,
        "off-policy": {
            **_off_policy(logs, value / world.value(rankings[1]) - 1),
            "refused": refused,
            "every click ends the visit": {
                "logs": few,
                "refused": ended_refused,
                "estimates": _errors(of_ended) if ended_refused < few else {},
            },
        },
    }


def _off_policy(logs: "Mapping[str, NDArray[Any]]", live: float) -> Mapping[str, Any]:
    reward, users, covered = logs["log"].mean(axis=0)
    return {
        "estimates": _errors(logs),
        "logged answers beside the truth": float(reward),
        "live ranking beside the truth": live,
        "price of exploration": float((1 + reward) / (1 + live) - 1),
        "effective users": float(users),
        "covered": float(covered),
    }


def _errors(logs: "Mapping[str, NDArray[Any]]") -> Mapping[str, Any]:
    """Errors of each estimator, relative to the truth."""
    import numpy as np

    return {
        name: {
            "root mean squared error": float(np.sqrt((rows[:, 0] ** 2).mean())),
            "95th percentile of the error": float(np.percentile(np.abs(rows[:, 0]), 95)),
            "errors within 10%": _share(np.abs(rows[:, 0]) <= 0.1),
            "bias": float(rows[:, 0].mean()),
            "coverage": _share(rows[:, 1]),
            "mean width": float(rows[:, 2].mean()),
        }
        for name, rows in logs.items()
        if name != "log"
    }


def _share(happened: "NDArray[Any]") -> Mapping[str, float]:
    """Share with its 95% interval (Clopper and Pearson, 1934)."""
    from scipy.stats import binomtest

    told = binomtest(int(happened.sum()), len(happened))
    bounds = told.proportion_ci()
    return {"value": float(told.statistic), "low": float(bounds.low), "high": float(bounds.high)}


def _median(days: "NDArray[Any]") -> float | None:
    """Median day on which a difference was seen; None if half of the tests never saw it."""
    import numpy as np

    median = float(np.median(np.where(days > 0, days, np.inf)))
    return median if median < float("inf") else None


def tables(figures: Mapping[str, Any]) -> list[Table]:
    """Tables of the figures for the terminal."""
    tests, looks, logs = figures["A/B"], figures["daily looks"], figures["off-policy"]
    intervals = Table(
        "figure", "covered of the first 100", "coverage", title="A/B: 95% intervals and the truth"
    )
    for name, row in tests["figures"].items():
        intervals.add_row(name, str(row["covered of the first 100"]), _said(row["coverage"]))
    daily = Table("interval", "false alarms", "differences seen", "median day", title="Daily looks")
    for name, share in looks["false alarms"].items():
        median = looks["median day"][name]
        daily.add_row(
            name, _said(share), _said(looks["seen"][name]), "" if median is None else f"{median:g}"
        )
    needed = Table("interleaving beside A/B", "", title="Users for the same decision")
    for name, value in figures["interleaving"].items():
        needed.add_row(name, f"{value:,}" if isinstance(value, int) else f"{value:.3f}")
    unseen = Table(
        *("estimate", "RMS error", "95th percentile", "within 10%", "coverage", "mean width"),
        title="Off-policy estimates of an unseen ranking, relative to the truth",
    )
    for name, row in logs["estimates"].items():
        unseen.add_row(
            name.replace("_", " "),
            f"{row['root mean squared error']:.3f}",
            f"{row['95th percentile of the error']:.3f}",
            _said(row["errors within 10%"]),
            _said(row["coverage"]),
            f"{row['mean width']:.3f}",
        )
    return [intervals, daily, needed, unseen]


def _said(share: Mapping[str, float]) -> str:
    return f"{share['value']:.3f} ({share['low']:.3f} to {share['high']:.3f})"


if __name__ == "__main__":
    main()
