"""The lexical source: items whose texts share words, or pieces of words, with a search."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from index.arrays import Rows, Scores
from index.config import LexicalConfig
from index.lexical.analyzer import Analyzer
from index.lexical.bm25 import BM25

FOLDER = "lexical"
OPTIONS, WORDS, PIECES = "options.json", "words", "pieces"


class Postings:
    """Words of the items that were added since the release: shared by successors, which append."""

    def __init__(self) -> None:
        self.end = 0
        """Rows appended so far, by whomever"""
        self.of: dict[str, dict[str, list[tuple[int, float]]]] = {WORDS: {}, PIECES: {}}
        """Row and weight of every item that has a token, by kind of token and token"""

    def first(self, rows: int) -> "Postings":
        """A copy with the first rows alone."""
        copied = Postings()
        copied.end = rows
        for kind, postings in self.of.items():
            for token, having in postings.items():
                copied.of[kind][token] = [pair for pair in having if pair[0] < rows]
        return copied


@dataclass(frozen=True, kw_only=True, eq=False)
class Lexical:
    """BM25 over the stems of a corpus, plus a share of BM25 over pieces of its words."""

    analyzer: Analyzer
    words: BM25
    pieces: BM25 | None
    """None if words are matched whole"""
    share: float
    """Weight of the pieces"""
    added: int = 0
    """Items that were added since the release"""
    postings: Postings = field(default_factory=Postings)
    """Their words; those of rows from `added` on belong to successors"""

    @classmethod
    def of(cls, texts: Sequence[str], config: LexicalConfig) -> "Lexical":
        """Index the texts of a corpus."""
        analyzer, options = Analyzer(config.language, config.piece), (config.k1, config.b)
        words = [analyzer.words(text) for text in texts]
        pieces = [analyzer.pieces(text) for text in texts] if config.piece else None
        return cls(
            analyzer=analyzer,
            words=BM25.of(words, k1=options[0], b=options[1]),
            pieces=None if pieces is None else BM25.of(pieces, k1=options[0], b=options[1]),
            share=config.pieces,
        )

    def save(self, folder: Path) -> None:
        """Write everything into the folder `lexical` of a stage."""
        part = folder / FOLDER
        part.mkdir()
        self.words.save(part / WORDS)
        if self.pieces is not None:
            self.pieces.save(part / PIECES)
        options = {
            "language": self.analyzer.language,
            "piece": self.analyzer.piece,
            "share": self.share,
        }
        (part / OPTIONS).write_text(json.dumps(options))

    @classmethod
    def load(cls, folder: Path) -> "Lexical | None":
        """Memory-map what `save` wrote; None if the stage has no lexical source."""
        part = folder / FOLDER
        if not part.is_dir():
            return None
        options = json.loads((part / OPTIONS).read_text())
        return cls(
            analyzer=Analyzer(options["language"], options["piece"]),
            words=BM25.load(part / WORDS),
            pieces=BM25.load(part / PIECES) if options["piece"] else None,
            share=options["share"],
        )

    def with_added(self, texts: Sequence[str]) -> "Lexical":
        """The source with further items. Call only on the newest one, from one writer."""
        postings = self.postings
        if postings.end != self.added:  # a successor was given up
            postings = postings.first(self.added)
        for row, text in enumerate(texts, self.added):
            for kind, bm25, tokens in self._parts(text):
                for token, weight in bm25.weights(tokens).items():
                    postings.of[kind].setdefault(token, []).append((row, weight))
        postings.end = self.added + len(texts)
        return replace(self, added=postings.end, postings=postings)

    def without_added(self) -> "Lexical":
        """The source as the release has it."""
        return replace(self, added=0, postings=Postings())

    def scores(self, search: str) -> Scores:
        """(rows,) scores of all items for a search, the added ones last; 0 without a match."""
        built = self.words.size
        total = np.zeros(built + self.added, np.float32)
        for kind, bm25, tokens in self._parts(search):
            share = self.share if kind == PIECES else 1.0
            total[:built] += np.float32(share) * bm25.scores(tokens)
            most = bm25.most(tokens)
            for token in dict.fromkeys(tokens) if self.added else ():
                for row, weight in self.postings.of[kind].get(token, ()):
                    if row < self.added:
                        total[built + row] += share * weight / most
        return total

    def best(self, scores: Scores, size: int, among: Rows | None = None) -> Rows:
        """(found,) rows of the best scores above 0, best first; `size` at most.

        Args:
            scores: (rows,) as `scores` returns.
            size: Rows wanted.
            among: Rows to choose from; None for all.
        """
        rows = np.flatnonzero(scores > 0) if among is None else among[scores[among] > 0]
        if len(rows) > size:
            rows = rows[np.argpartition(-scores[rows], size - 1)[:size]]
        return rows[np.lexsort((rows, -scores[rows]))].astype(np.int32)

    def _parts(self, text: str) -> Iterator[tuple[str, BM25, list[str]]]:
        yield WORDS, self.words, self.analyzer.words(text)
        if self.pieces is not None:
            yield PIECES, self.pieces, self.analyzer.pieces(text)
