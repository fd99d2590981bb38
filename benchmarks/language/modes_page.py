"""Figures of the fine-tuning modes, and the page that shows them."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from evaluation.page import environment
from lineage.whole_files import replacing

WIDTH, HEIGHT = 400, 160


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a mode came to."""

    mode: str
    valid: float
    """Monitored figure of the validation part: accuracy, or recall@100 of towers."""
    parameters: int
    """Trained parameters."""
    seconds: float
    """CPU seconds of the whole run."""
    mib: float
    """Peak memory, MiB."""
    test: float | None = None
    """Accuracy on the test part; None for towers."""
    typed: float | None = None
    """The same with 10% of the words mistyped."""
    reworded: float | None = None
    """The same with up to 10% of the words replaced by WordNet's synonyms."""


def write(folder: Path, runs: Sequence[Run], command: str) -> None:
    """Write the figures as `modes.json`, and their table and picture as `modes.html`."""
    made = {"modes": [asdict(run) for run in runs], "command": command}
    with replacing(folder / "modes.json") as partial:
        partial.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    most, least = (pick(run.parameters for run in runs) for pick in (max, min))
    best, worst = (pick(run.valid for run in runs) for pick in (max, min))
    wide = math.log(most / least) or 1.0
    points = [
        (
            WIDTH * math.log(run.parameters / least) / wide,
            HEIGHT * (1 - (run.valid - worst) / ((best - worst) or 1.0)),
            run.mode,
        )
        for run in runs
    ]
    page = environment(Path(__file__).parent).get_template("modes.html.j2")
    shown = page.render(runs=runs, points=points, size=(WIDTH, HEIGHT), command=command)
    with replacing(folder / "modes.html") as partial:
        partial.write_text(shown, encoding="utf-8")
