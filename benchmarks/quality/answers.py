"""`python -m benchmarks.quality.answers`: record an engine's answers, or compare recordings.

A change of structure must not change an answer. Record before and after it, then compare:

    python -m benchmarks.quality.answers record --artifacts artifacts/ml-100k --output before.jsonl
    python -m benchmarks.quality.answers compare before.jsonl after.jsonl
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from benchmarks.quality.cascade_lists import history_shopper
from dataset.arrays import Dataset, load_dataset
from lineage.cli import configure_logging, reported_errors
from lineage.options import OptionParser
from lineage.stages import DATA
from shortlist_client.api.answer import Answer
from shortlist_client.api.filters import AnyOf, Filters, Range
from shortlist_client.api.request import Wishes

if TYPE_CHECKING:
    from serving.engine.engine import Engine

ITEMS = 100
"""Items of an answer, and candidates of a `Rank` call."""
EXPLAINED = 10
"""Items of an explained answer, and items excluded from a filtered answer."""


def record(artifacts: Path, output: Path, *, users: int) -> None:
    """Write every item, score and explanation of the answers for a sample of users.

    Args:
        artifacts: Folder of a dataset's finished stages.
        output: JSON Lines file to write; floats are hexadecimal, so that no bit is lost.
        users: Number of users, drawn at random with a fixed seed.
    """
    from serving.engine.engine import Engine, EngineConfig

    data, engine = load_dataset(artifacts / DATA), Engine.load(artifacts, EngineConfig())
    chosen = np.random.default_rng(0).permutation(data.users)[:users].tolist()
    partial = output.with_name(f"{output.name}.partial")
    with partial.open("w") as lines:
        for user in tqdm(chosen, desc="answers", unit="user"):
            for call, answer in _calls(engine, data, user):
                line = {"user": data.user_ids[user], "call": call, "answer": _plain(answer)}
                lines.write(json.dumps(line) + "\n")
    os.replace(partial, output)


def _calls(engine: "Engine", data: Dataset, user: int) -> Iterator[tuple[str, Answer]]:
    """Name and answer of every call of the engine for one user."""
    shopper, wishes = history_shopper(data, user), Wishes(limit=ITEMS)
    if not shopper.history:
        return
    yield "recommend", engine.recommend(shopper, wishes)
    yield "retrieve", engine.retrieve(shopper, wishes)
    yield "similar", engine.similar(shopper.history[-1], wishes)
    rows = np.random.default_rng(user).permutation(len(data.item_ids))[:ITEMS].tolist()
    yield "rank", engine.rank(shopper, [data.item_ids[row] for row in rows], wishes)
    few = Wishes(limit=EXPLAINED, explain=True, explain_texts=True)
    yield "explain", engine.recommend(shopper, few)
    last = engine.cascade.catalogue.row(shopper.history[-1])
    assert last is not None
    filters = _filters(engine.cascade.catalogue.item(last).attributes, engine)
    excluded = [data.item_ids[row] for row in rows[:EXPLAINED]]
    filtered = Wishes(limit=ITEMS, filters=filters, exclude=excluded)
    yield "filtered", engine.recommend(shopper, filtered)


def _filters(attributes: Mapping[str, Any], engine: "Engine") -> Filters:
    """Filters that match an item's keywords and numbers, one clause for each attribute."""
    clauses: list[AnyOf | Range] = []
    for name, kind in sorted(engine.cascade.attributes.kinds.items()):
        value = attributes.get(name)
        if kind == "keyword" and value:
            clauses.append(AnyOf(name, [value] if isinstance(value, str) else list(value)))
        elif kind == "number" and value is not None:
            clauses.append(Range(name, gte=value))
    return Filters(should=clauses)


def _plain(answer: Answer) -> dict[str, Any]:
    """The parts of an answer that must stay the same; times and fingerprints may differ."""
    return {
        "basis": answer.basis.value,
        "coverage": vars(answer.coverage),
        "items": [
            {
                "item_id": item.item_id,
                "title": item.title,
                "score": _exact(item.score),
                "tower_score": _exact(item.tower_score),
                "neighbour_score": _exact(item.neighbour_score),
                "sources": [source.value for source in item.sources],
                "shortlist_rank": item.shortlist_rank,
                "ranker_score": _exact(item.ranker_score),
                "reasons": [[one.item_id, _exact(one.contribution)] for one in item.reasons],
                "text_reasons": [
                    [one.field, _exact(one.contribution)] for one in item.text_reasons
                ],
            }
            for item in answer.items
        ],
    }


def _exact(value: float | None) -> str | None:
    return None if value is None else float(value).hex()


def compare(before: Path, after: Path) -> int:
    """Compare two recordings.

    Returns:
        Number of answers.

    Raises:
        ValueError: an answer differs or is missing; the message names the first difference.
    """
    count = 0
    with before.open() as old, after.open() as new:
        for count, (line, other) in enumerate(zip_longest(old, new), 1):
            if line == other:
                continue
            if line is None or other is None:
                raise ValueError(
                    f"{before} and {after} must have the same number of answers, "
                    f"got one that ends after {count - 1}"
                )
            raise ValueError(f"answer {count} differs: {_difference(line, other)}")
    return count


def _difference(line: str, other: str) -> str:
    one, two = json.loads(line), json.loads(other)
    about = f"{one['call']} for user {one['user']}"
    pairs = zip_longest(one["answer"]["items"], two["answer"]["items"])
    places = [place for place, (left, right) in enumerate(pairs, 1) if left != right]
    if not places:
        return f"{about}: {one} before, {two} after"
    place = places[0] - 1
    left, right = one["answer"]["items"][place:], two["answer"]["items"][place:]
    return (
        f"{about}: {len(places)} items differ, first at place {place + 1}: "
        f"{left[:1]} before, {right[:1]} after"
    )


def main() -> None:
    """Record or compare answers."""
    parser = OptionParser(prog="python -m benchmarks.quality.answers", description=__doc__)
    commands = parser.add_subcommands(dest="command")
    recording = OptionParser(description="Record answers of finished stages.")
    recording.add_argument("--artifacts", type=Path, required=True, help="`artifacts/ml-100k`")
    recording.add_argument("--output", type=Path, required=True, help="JSON Lines file to write")
    recording.add_argument("--users", type=int, default=500, help="number of users")
    commands.add_subcommand("record", recording, help="record an engine's answers")
    comparing = OptionParser(description="Compare two recordings bit for bit.")
    comparing.add_argument("before", type=Path, help="one recording")
    comparing.add_argument("after", type=Path, help="the other")
    commands.add_subcommand("compare", comparing, help="compare two recordings")
    options = parser.parse_args()
    configure_logging()
    with reported_errors():
        if options.command == "record":
            chosen = options.record
            record(chosen.artifacts, chosen.output, users=chosen.users)
        else:
            chosen = options.compare
            sys.stdout.write(f"{compare(chosen.before, chosen.after)} answers are identical\n")


if __name__ == "__main__":
    main()
