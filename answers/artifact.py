"""A finished answers stage: questions in, the best entry with its probability out."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from answers.confidence import Confidence
from answers.evidence import evidence
from answers.finder import Finder
from answers.templates import Templates
from dataset.arrays import StringColumn
from lineage.manifest import read_manifest
from lineage.stages import ANSWERS, TOWERS

OPTIONS = "answers.json"
IDS, TITLES, TEXTS = "entry_ids", "entry_titles", "entry_texts"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What was learnt and configured beside the finder."""

    share: float
    """Weight of the words beside cosines."""
    confidence: Confidence
    threshold: float
    """Probability from which a question is answered."""
    precision: float
    """Wanted share of right answers."""
    templates: Templates
    intent: str = ""
    """Column of the classifier that holds the intents; empty for its first column of labels."""
    price: str = "price"
    """Attribute of a product that `{price}` shows."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best entry of a question."""

    entry_id: str
    title: str
    text: str
    """The answer."""
    probability: float
    """Calibrated probability that the entry is right."""


class Answers:
    """The entries of a FAQ, and what finds and judges them."""

    def __init__(self, finder: Finder, rules: Rules, entries: tuple[Sequence[str], ...]) -> None:
        """Take the parts.

        Args:
            finder: Compares questions with the entries.
            rules: What was learnt and configured.
            entries: Ids, titles and answers of the entries.
        """
        self.finder, self.rules = finder, rules
        self._ids, self._titles, self._texts = entries

    @classmethod
    def load(cls, folder: Path) -> "Answers":
        """Load what `save_answers` and `copy_finder` wrote.

        Raises:
            ArtifactError: the folder holds no answers stage of this version.
        """
        read_manifest(folder, ANSWERS)
        options = json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
        options["confidence"]["weights"] = tuple(options["confidence"]["weights"])
        rules = Rules(
            **options
            | {
                "confidence": Confidence(**options["confidence"]),
                "templates": Templates(**options["templates"]),
            }
        )
        entries = tuple(StringColumn.load(folder, name) for name in (IDS, TITLES, TEXTS))
        finder = Finder.load(folder / TOWERS, folder, share=rules.share, titles=list(entries[1]))
        return cls(finder, rules, entries)

    def best(self, questions: Sequence[str]) -> list[Found]:
        """The best entry of each question, with the probability that it is right."""
        found = evidence(self.finder(questions), self.finder.groups)
        probabilities = self.rules.confidence(found.values)
        return [
            Found(
                entry_id=self._ids[row],
                title=self._titles[row],
                text=self._texts[row],
                probability=probability,
            )
            for row, probability in zip(found.best.tolist(), probabilities.tolist(), strict=True)
        ]


def save_answers(folder: Path, rules: Rules, entries: tuple[Sequence[str], ...]) -> None:
    """Write rules and entries into a stage's folder; `copy_finder` writes the rest.

    Args:
        folder: Folder of the stage.
        rules: What was learnt and configured.
        entries: Ids, titles and answers of the entries.
    """
    text = json.dumps(asdict(rules), ensure_ascii=False)
    (folder / OPTIONS).write_text(text, encoding="utf-8")
    for name, strings in zip((IDS, TITLES, TEXTS), entries, strict=True):
        StringColumn.save(folder, name, strings)
