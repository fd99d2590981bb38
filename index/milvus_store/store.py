"""The Milvus vector store: searches a collection with the same answers and errors as FAISS."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.postings import rows_of
from index.arrays import Rows64, Scores
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

WIDEST = 16_384
"""Largest k of a search in Milvus."""
WIDEST_EF = 32_768
"""Largest `ef` of a search in Milvus's graph."""
QUERIES = 256
"""Queries in one request."""
FETCHED = 4096
"""Embeddings fetched by one request."""
COMPARED = 1000
"""Up to this many allowed items, all are fetched and compared instead of searched."""
LISTED = 50_000
"""Most item rows that an expression may list: older servers parse them as text, some 5 μs each."""
SPARE = 1.5
"""Factor on the width at which a search without a filter should find k allowed items."""
FURTHER, AGREED = 4, 0.98
"""`ef` rises by `FURTHER` until a search finds the share `AGREED` of the last result again."""


class MilvusStore:
    """Finds the item rows nearest to an embedding. Knows nothing of item ids or users."""

    def __init__(self, client: Any, record: Record) -> None:
        """Wrap a client and the record of a complete, loaded collection.

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
            ArtifactError: the record or the collection is missing, or the collection has the wrong
                number of items; names the command that makes it again.
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
        """Dimension of an embedding."""
        return self._record.dimension

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def search(self, queries: Scores, k: int) -> tuple[Scores, Rows64]:
        """Find the k items of largest inner product, at most 16,384 of them.

        Args:
            queries: (queries, dimension) unit-length embeddings.
            k: Items per query.

        Returns:
            Scores and item rows, both (queries, k), best first; row -1 if Milvus finds fewer.

        Raises:
            ValueError: wrong shape, not finite, or k outside [1, items].
            ConnectionError: Milvus does not answer.
        """
        check_k(k, len(self))
        given = checked(queries, self.dimension)
        scores = np.full((len(given), k), -np.inf, np.float32)
        rows = np.full((len(given), k), -1, np.int64)
        for start in range(0, len(given), QUERIES):
            found = self._found(given[start : start + QUERIES], k, self._ef)
            for place, (own_scores, own_rows) in enumerate(found, start):
                scores[place, : len(own_rows)] = own_scores
                rows[place, : len(own_rows)] = own_rows
        return scores, rows

    def search_among(self, query: Scores, k: int, allowed: BitMap) -> tuple[Scores, Rows64]:
        """Find the k items of largest inner product among allowed rows.

        If few rows are allowed, fetches and compares them all. Otherwise searches without a filter,
        wide enough that k results should be allowed; then searches the graph with a filter
        expression; if both find too few, fetches and compares all allowed rows.

        Args:
            query: (dimension,) of unit length.
            k: Items wanted, at least 1.
            allowed: Item rows to choose from.

        Returns:
            Scores and item rows, both (found,), best first: all allowed items, at most k.

        Raises:
            ValueError: wrong shape, not finite, k below 1, or a row outside the corpus.
            ConnectionError: Milvus does not answer.
        """
        return checked_among(
            self, query, k, allowed, lambda given, most: self._among(given, most, allowed)
        )

    def vectors(self, rows: NDArray[Any]) -> Scores:
        """(rows, dimension): stored embeddings of some rows.

        Raises:
            MissingArtifactError: the collection lacks some of the rows.
            ValueError: a row is outside the corpus.
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
                    f"{len(part)} requested rows, got {len(found)}"
                )
            for item in found:
                fetched[start + np.searchsorted(part, item[ROW])] = item[EMBEDDING]
        return fetched[places]

    def set_operating_point(self, parameters: str) -> None:
        """Set the search parameters of all later searches; they are saved with the record.

        Args:
            parameters: `ef=…`; empty for the least effort.

        Raises:
            ValueError: the parameters are anything else.
        """
        self._ef = _ef(parameters)
        self._record = replace(self._record, operating_point=parameters)

    def save(self, folder: Path) -> None:
        """Write the record of the collection.

        Raises:
            OSError: the file cannot be written.
        """
        self._record.write(folder)

    def _among(self, query: Scores, k: int, allowed: BitMap) -> tuple[Scores, Rows64]:
        if len(allowed) > COMPARED:
            for found in self._attempts(query, k, allowed):
                if found is not None:
                    return found
        return self._scanned(query[0], k, rows_of(allowed))

    def _attempts(
        self, query: Scores, k: int, allowed: BitMap
    ) -> Iterator[tuple[Scores, Rows64] | None]:
        """Results of searches among allowed rows, of rising cost; None if one finds too few."""
        share = len(allowed) / len(self)
        width = min(int(SPARE * k / share), len(self))
        if width <= WIDEST:
            yield _first_allowed(*self._found(query, width, self._ef)[0], k, allowed)
        others = BitMap(range(len(self))) - allowed
        if min(len(allowed), len(others)) > LISTED or k > WIDEST:
            return
        listed, operator = (allowed, "in") if len(allowed) <= len(others) else (others, "not in")
        among = f"{ROW} {operator}", rows_of(listed).tolist()
        effort, before = max(self._ef, k) / share, None
        while effort <= WIDEST_EF:
            found = _first_allowed(*self._found(query, k, int(effort), among)[0], k, allowed)
            if found and before and len(np.intersect1d(found[1], before[1])) >= AGREED * k:
                yield found
            effort, before = FURTHER * effort, found

    def _scanned(self, query: Scores, k: int, rows: Rows64) -> tuple[Scores, Rows64]:
        """Fetch the embeddings of all given rows and find the best k."""
        best = np.empty(0, np.float32), np.empty(0, np.int64)
        for start in range(0, len(rows), FETCHED):
            part = rows[start : start + FETCHED]
            scores = np.concatenate([best[0], self.vectors(part) @ query])
            seen = np.concatenate([best[1], part])
            order = np.argsort(-scores, kind="stable")[:k]
            best = scores[order], seen[order]
        return best

    def _found(
        self, queries: Scores, k: int, ef: int, among: tuple[str, list[int]] | None = None
    ) -> list[tuple[Scores, Rows64]]:
        """Scores and rows of each query, best first, at most k.

        `among` restricts rows: an expression without its list, and the rows of the list.
        """
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
                consistency_level="Eventually",  # the collection never changes
            )
        return [
            (np.asarray(hits.distances, np.float32), np.asarray(hits.ids, np.int64))
            for hits in found
        ]

    def _filter(self, among: tuple[str, list[int]] | None) -> dict[str, Any]:
        """Filter arguments of a search, with rows as parameters or, for older servers, as text."""
        if among is None:
            return {}
        condition, rows = among
        if self._templates:
            return {"filter": f"{condition} {{rows}}", "filter_params": {"rows": rows}}
        return {"filter": f"{condition} {rows}"}


def _first_allowed(
    scores: Scores, rows: Rows64, k: int, allowed: BitMap
) -> tuple[Scores, Rows64] | None:
    """The first k allowed results; None if there are fewer."""
    places = [place for place, row in enumerate(rows.tolist()) if row in allowed][:k]
    return (scores[places], rows[places]) if len(places) == k else None


def _ef(parameters: str) -> int:
    """The `ef` of an operating point; 1 if it is empty."""
    match = re.fullmatch(r"ef=([1-9]\d{0,4})", parameters)
    if parameters and (match is None or int(match[1]) > WIDEST_EF):
        raise ValueError(
            f"operating_point must be ef=1 to ef={WIDEST_EF} for 'milvus', got {parameters!r}"
        )
    return int(match[1]) if match else 1
