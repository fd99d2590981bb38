"""Searches a collection in Milvus as FAISS is searched: the same answers, the same refusals."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.postings import rows_of
from index.milvus_store.collection import (
    EMBEDDING,
    ROW,
    Record,
    answering,
    connect,
    open_collection,
    read_record,
    takes_templates,
)
from index.milvus_store.collection import RECORD as FILE
from index.vector_store import check_k, check_rows, checked_among
from index.vectors import checked
from lineage.manifest import MissingArtifactError

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]
WIDEST = 16_384
"""Items that Milvus finds at most."""
WIDEST_EF = 32_768
"""Of Milvus's graph."""
QUERIES = 256
"""Searched for by one request."""
FETCHED = 4096
"""Embeddings that one request brings."""
COMPARED = 1000
"""Allowed items that are fetched and compared rather than searched for."""
LISTED = 50_000
"""Item rows that a request may name: older servers read them as text, some 5 μs each."""
SPARE = 1.5
"""How many times as many are looked for as should hold enough that are allowed."""
FURTHER, AGREED = 4, 0.98
"""A graph is searched that many times as far, until so much of what was found is found again."""


class MilvusStore:
    """Finds the nearest item rows of an embedding. Knows nothing of item ids or users."""

    def __init__(self, client: Any, record: Record) -> None:
        """Take a client and a collection that is whole and loaded.

        Raises:
            ConnectionError: Milvus does not answer.
        """
        self._client, self._record = client, record
        self._ef = _ef(record.operating_point)
        self._templates = takes_templates(client, record)

    @classmethod
    def load(cls, folder: Path) -> "MilvusStore":
        """Open the collection that an index stage names.

        Raises:
            ArtifactError: it is missing or of another size; names the command that mends it.
            ConnectionError: Milvus does not answer.
        """
        record = read_record(folder / FILE)
        client = connect(record.uri, record.timeout_seconds)
        try:
            open_collection(client, record, folder)
            return cls(client, record)
        except BaseException:
            client.close()
            raise

    def __len__(self) -> int:
        return self._record.items

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self._record.dimension

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def search(self, queries: Scores, k: int) -> tuple[Scores, Rows]:
        """Find the k items of largest inner product, at most 16,384 of them.

        Args:
            queries: (queries, dimension) unit-length embeddings.
            k: Items a query.

        Returns:
            Scores and item rows, both (queries, k), best first; row -1 where Milvus finds fewer.

        Raises:
            ValueError: wrong shape, not finite, or k outside 1 and the corpus.
            ConnectionError: Milvus does not answer.
        """
        check_k(k, len(self))
        given = checked(queries, self.dimension)
        scores = np.full((len(given), k), -np.inf, np.float32)
        rows = np.full((len(given), k), -1, np.int64)
        for start in range(0, len(given), QUERIES):
            found = self._found(given[start : start + QUERIES], k, self._ef)
            for place, (some, names) in enumerate(found, start):
                scores[place, : len(names)], rows[place, : len(names)] = some, names
        return scores, rows

    def search_among(self, query: Scores, k: int, allowed: BitMap) -> tuple[Scores, Rows]:
        """Find the k items of largest inner product among some.

        Few are fetched and compared. Where so many more can be looked for that enough of them are
        allowed, that is done; else the graph is searched with an expression; what that misses, too,
        is found by comparing all.

        Args:
            query: (dimension,) of unit length.
            k: Items wanted, at least 1.
            allowed: Item rows to choose from.

        Returns:
            Scores and item rows, both (found,), best first; as many as are allowed, at most k.

        Raises:
            ValueError: wrong shape, not finite, k below 1, or a row that is not in the corpus.
            ConnectionError: Milvus does not answer.
        """
        return checked_among(
            self, query, k, allowed, lambda given, most: self._among(given, most, allowed)
        )

    def vectors(self, rows: NDArray[Any]) -> Scores:
        """(rows, dimension): the stored embeddings of some rows.

        Raises:
            ValueError: a row is not in the corpus.
            ConnectionError: Milvus does not answer.
        """
        if not len(rows):
            return np.empty((0, self.dimension), np.float32)
        check_rows(int(rows.min()), int(rows.max()), len(self))
        wanted, places = np.unique(rows, return_inverse=True)
        fetched = np.empty((len(wanted), self.dimension), np.float32)
        for start in range(0, len(wanted), FETCHED):
            part = wanted[start : start + FETCHED]
            with answering(self._record.uri, "fetch embeddings"):
                found = self._client.get(
                    self._record.collection,
                    ids=part.tolist(),
                    output_fields=[ROW, EMBEDDING],
                    timeout=self._record.timeout_seconds,
                    consistency_level="Eventually",
                )
            if len(found) != len(part):
                raise MissingArtifactError(
                    f"collection {self._record.collection} at {self._record.uri} must hold "
                    f"{len(part)} asked-for rows, got {len(found)}"
                )
            for item in found:
                fetched[start + np.searchsorted(part, item[ROW])] = item[EMBEDDING]
        return fetched[places]

    def set_operating_point(self, parameters: str) -> None:
        """Decide how hard every search looks.

        Args:
            parameters: `ef=…`; empty for the least.

        Raises:
            ValueError: it is something else.
        """
        self._ef = _ef(parameters)
        self._record = replace(self._record, operating_point=parameters)

    def save(self, folder: Path) -> None:
        """Write what names the collection.

        Raises:
            OSError: the disk is full or refuses.
        """
        self._record.write(folder)

    def _among(self, query: Scores, k: int, allowed: BitMap) -> tuple[Scores, Rows]:
        if len(allowed) > COMPARED:
            for found in self._tried(query, k, allowed):
                if found is not None:
                    return found
        return self._compared(query[0], k, rows_of(allowed))

    def _tried(
        self, query: Scores, k: int, allowed: BitMap
    ) -> Iterator[tuple[Scores, Rows] | None]:
        """What searches find among some, dearer and dearer; None where that is too little."""
        share = len(allowed) / len(self)
        width = min(int(SPARE * k / share), len(self))
        if width <= WIDEST:
            yield _kept(*self._found(query, width, self._ef)[0], k, allowed)
        others = BitMap(range(len(self))) - allowed
        if min(len(allowed), len(others)) > LISTED or k > WIDEST:
            return
        few, word = (allowed, "in") if len(allowed) <= len(others) else (others, "not in")
        among = f"{ROW} {word}", rows_of(few).tolist()
        effort, before = max(self._ef, k) / share, None
        while effort <= WIDEST_EF:
            found = _kept(*self._found(query, k, int(effort), among)[0], k, allowed)
            if found and before and len(np.intersect1d(found[1], before[1])) >= AGREED * k:
                yield found
            effort, before = FURTHER * effort, found

    def _compared(self, query: Scores, k: int, rows: Rows) -> tuple[Scores, Rows]:
        """The best of some rows, all of which are fetched."""
        best = np.empty(0, np.float32), np.empty(0, np.int64)
        for start in range(0, len(rows), FETCHED):
            part = rows[start : start + FETCHED]
            scores = np.concatenate([best[0], self.vectors(part) @ query])
            names = np.concatenate([best[1], part])
            order = np.argsort(-scores, kind="stable")[:k]
            best = scores[order], names[order]
        return best

    def _found(
        self, queries: Scores, k: int, ef: int, among: tuple[str, list[int]] | None = None
    ) -> list[tuple[Scores, Rows]]:
        """Scores and rows of each query, best first, at most k; among rows that stand in a list."""
        width = min(k, WIDEST)
        effort = min(max(ef, width), WIDEST_EF)
        with answering(self._record.uri, "search"):
            found = self._client.search(
                self._record.collection,
                data=list(queries),
                limit=width,
                **self._filter(among),
                anns_field=EMBEDDING,
                output_fields=[ROW],
                search_params={"metric_type": "IP", "params": {"ef": effort}},
                timeout=self._record.timeout_seconds,
                consistency_level="Eventually",  # nothing is written any more
            )
        return [
            (np.asarray(hits.distances, np.float32), np.asarray(hits.ids, np.int64))
            for hits in found
        ]

    def _filter(self, among: tuple[str, list[int]] | None) -> dict[str, Any]:
        """A search's filter, its rows beside it where the server reads them there."""
        if among is None:
            return {}
        stands, rows = among
        if self._templates:
            return {"filter": f"{stands} {{rows}}", "filter_params": {"rows": rows}}
        return {"filter": f"{stands} {rows}"}


def _kept(scores: Scores, rows: Rows, k: int, allowed: BitMap) -> tuple[Scores, Rows] | None:
    """The first k that are allowed; None where fewer were found."""
    kept = [place for place, row in enumerate(rows.tolist()) if row in allowed][:k]
    return (scores[kept], rows[kept]) if len(kept) == k else None


def _ef(parameters: str) -> int:
    """The effort that an operating point names."""
    match = re.fullmatch(r"ef=([1-9]\d{0,4})", parameters)
    if parameters and (match is None or int(match[1]) > WIDEST_EF):
        raise ValueError(
            f"operating_point must be ef=1 to ef={WIDEST_EF} of 'milvus', got {parameters!r}"
        )
    return int(match[1]) if match else 1
