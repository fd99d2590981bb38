"""The cascade: history → user tower → index and neighbour lists → ranker. Plain Python, no gRPC.

One caller at a time. Every request is worked on by itself, so that an answer never depends on who
else is asking and an offline benchmark sees exactly what is served.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pyroaring import BitMap

from dataset.arrays import load_dataset
from dataset.postings import bitmap_of
from index.attributes import Attributes
from index.filters import FilterError, Filters
from index.sources import Recalled, Rows
from ranker.score import Ranker
from serving.candidates import Candidates
from serving.catalogue import Catalogue
from serving.live_items import LiveItems
from serving.query import (
    Answer,
    Basis,
    InvalidQueryError,
    Limits,
    Query,
    UnknownItemError,
    check_id,
    check_query,
)
from serving.release import open_release
from serving.retrieval import Retriever
from serving.signals import Signals


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """How far the cascade looks."""

    ranked: int | None = None
    """Head of the shortlist that the ranker reads; the rest follows in its order. By default
    as many as the ranker was validated with."""
    limits: Limits = field(default_factory=Limits)
    """What one query may ask for."""

    def __post_init__(self) -> None:
        if self.ranked is not None and not 1 <= self.ranked <= self.limits.shortlist:
            raise ValueError(
                f"ranked must be within 1 and the shortlist of {self.limits.shortlist}, "
                f"got {self.ranked}"
            )


@dataclass(frozen=True, kw_only=True)
class _Shopper:
    """What is known of whom a query is about."""

    history: Rows
    contexts: Rows
    search: str = ""
    unknown_item_ids: tuple[str, ...] = ()
    unknown_user: bool = False


class Engine:
    """Answers queries from one release."""

    def __init__(
        self,
        catalogue: Catalogue,
        retriever: Retriever,
        ranker: Ranker,
        signals: Signals,
        attributes: Attributes,
        *,
        versions: Mapping[str, str],
        limits: Limits,
        ranked: int,
    ) -> None:
        self._catalogue, self._retriever = catalogue, retriever
        self._ranker, self._signals, self._attributes = ranker, signals, attributes
        self._versions, self._limits, self._ranked = versions, limits, ranked

    @classmethod
    def load(cls, folder: Path, config: EngineConfig) -> "Engine":
        """Load a release and search it once in every way, so that the first caller does not wait.

        Args:
            folder: Folder of a dataset's stages.
            config: How far to look.

        Raises:
            ArtifactError: the release is incomplete, corrupt or mixed; says which part.
        """
        release = open_release(folder)
        data, retriever = load_dataset(folder / "data").for_refit(), Retriever.load(folder)
        catalogue = Catalogue(data)
        engine = cls(
            catalogue,
            retriever,
            Ranker.load(folder / "ranker"),
            Signals(retriever.sources, data.popularity),
            Attributes.load(folder / "data", len(data.item_ids)),
            versions=release.versions,
            limits=config.limits,
            ranked=config.ranked or release.manifests["ranker"].config["ranked"],
        )
        engine.recommend(Query(history=[catalogue.item_id(0)], limit=1))
        index = retriever.sources.index
        index.search_among(index.vectors(np.zeros(1, np.int32))[0], 1, BitMap([0]))
        return engine

    @property
    def versions(self) -> Mapping[str, str]:
        """Fingerprint of every stage of the release."""
        return self._versions

    @property
    def actions(self) -> Sequence[str]:
        """What the release's interactions call what users do."""
        return self._catalogue.actions

    def over(self, items: LiveItems) -> "Engine":
        """The same after some changes of the items."""
        retriever = self._retriever.over(items.index)
        return Engine(
            self._catalogue.over(items),
            retriever,
            self._ranker.over(items.states),
            self._signals.over(retriever.sources),
            items.attributes,
            versions=self._versions,
            limits=self._limits,
            ranked=self._ranked,
        )

    @property
    def catalogue(self) -> Catalogue:
        """Ids and titles."""
        return self._catalogue

    @property
    def attributes(self) -> Attributes:
        """What items can be filtered by."""
        return self._attributes

    @property
    def ranker(self) -> Ranker:
        """The second half of the cascade."""
        return self._ranker

    @property
    def limits(self) -> Limits:
        """What one query may ask for."""
        return self._limits

    @property
    def retriever(self) -> Retriever:
        """The first half of the cascade."""
        return self._retriever

    @property
    def ranked(self) -> int:
        """Items at most of a shortlist that are ranked."""
        return min(self._ranked, self.shortlist)

    @property
    def shortlist(self) -> int:
        """Items that are recalled: as configured, or the corpus where that is smaller."""
        return max(1, min(self._limits.shortlist, len(self._catalogue)))

    def recommend(self, query: Query, *, ranked: int | None = None) -> Answer:
        """Recall a shortlist, rank its head, and return the first `limit` without the history.

        Args:
            query: What a client asks.
            ranked: Length of the head; by default as configured.

        Raises:
            InvalidQueryError: the query breaks a rule.
        """
        return self._from_shortlist(query, ranked=self.ranked if ranked is None else ranked)

    def retrieve(self, query: Query) -> Answer:
        """The shortlist's first `limit` in its own order, without the history.

        Raises:
            InvalidQueryError: the query breaks a rule.
        """
        return self._from_shortlist(query, ranked=0)

    def rank(self, query: Query, candidates: Sequence[str]) -> Answer:
        """Order the given items for the shopper and return the first `limit`.

        Raises:
            InvalidQueryError: the query breaks a rule, or there are no or too many candidates.
        """
        started = time.perf_counter()
        check_query(query, self._limits, candidates=candidates)
        shopper = self._shopper(query)
        rows, unknown = self._catalogue.rows(list(dict.fromkeys(candidates)))
        watch: dict[str, float] = {}
        if len(shopper.history) and len(rows):
            judged = self._retriever.judge(shopper.history, rows, watch, contexts=shopper.contexts)
            found = replace(self._rank(shopper.history, judged, watch), ranks=None)
        else:
            order = np.argsort(-self._catalogue.popularity(rows), kind="stable")
            found = self._popular(rows[order])
        unknown = tuple(dict.fromkeys(shopper.unknown_item_ids + unknown))
        return self._answer(query.limit, shopper, found, watch, started, unknown=unknown)

    def similar(
        self,
        item_id: str,
        limit: int,
        *,
        filters: Filters | None = None,
        exclude: Sequence[str] = (),
    ) -> Answer:
        """Nearest neighbours of an item among the items that fit, but for those to leave out.

        Raises:
            InvalidQueryError: the limit, an id or a filter breaks a rule.
            UnknownItemError: the catalogue does not hold the item.
        """
        started = time.perf_counter()
        query = Query(limit=limit, filters=filters or Filters(), exclude=exclude)
        check_query(query, self._limits)
        check_id("item_id", item_id, self._limits)
        row = self._catalogue.row(item_id)
        if row is None:
            raise UnknownItemError(f"item_id must be in the catalogue, got {item_id!r}")
        itself = np.array([row], np.int32)
        allowed, unknown = self._allowed(query)
        rows, cosines = self._retriever.sources.nearest(
            self._retriever.sources.index.vectors(itself)[0], itself, limit, allowed=allowed
        )
        watch = {"index": 1e3 * (time.perf_counter() - started)}
        items = Candidates(rows=rows, scores=cosines).items(self._catalogue, limit)
        return Answer(
            items=items,
            basis=Basis.ITEM,
            unknown_item_ids=unknown,
            milliseconds=_total(watch, started),
        )

    def _from_shortlist(self, query: Query, *, ranked: int) -> Answer:
        started = time.perf_counter()
        check_query(query, self._limits)
        shopper = self._shopper(query)
        allowed, unknown = self._allowed(query)
        watch: dict[str, float] = {}
        if shopper.search:
            found = self._recall(shopper, 0, watch, allowed)
        elif len(shopper.history):
            found = self._recall(shopper, ranked, watch, allowed)
        else:
            found = self._popular(self._catalogue.best_selling(self.shortlist, allowed))
        unknown = tuple(dict.fromkeys(shopper.unknown_item_ids + unknown))
        return self._answer(query.limit, shopper, found, watch, started, unknown=unknown)

    def _allowed(self, query: Query) -> tuple[BitMap | None, tuple[str, ...]]:
        """Item rows that a query lets through, None for all; and unknown ids that it leaves out."""
        if not query.filters and not query.exclude:
            return None, ()
        try:
            allowed = self._attributes.matching(query.filters)
        except FilterError as error:
            raise InvalidQueryError(str(error)) from error
        excluded, unknown = self._catalogue.rows(query.exclude)
        return allowed - bitmap_of(excluded), unknown

    def _shopper(self, query: Query) -> _Shopper:
        """A history in the query wins over the one that is known of the user."""
        if query.history:
            history, unknown = self._catalogue.history_rows(query.history)
            return _Shopper(
                history=history,
                contexts=self._catalogue.contexts(query),
                search=query.search,
                unknown_item_ids=unknown,
            )
        known = None
        if query.user_id is not None:
            known = self._catalogue.history(query.user_id, query.recent)
        if known is None:
            nobody = np.empty(0, np.int32)
            unknown_user = query.user_id is not None
            return _Shopper(
                history=nobody, contexts=nobody, search=query.search, unknown_user=unknown_user
            )
        history, contexts = known
        return _Shopper(history=history, contexts=contexts, search=query.search)

    def _recall(
        self, shopper: _Shopper, ranked: int, watch: dict[str, float], allowed: BitMap | None
    ) -> Candidates:
        """Shortlist whose first `ranked` are in the ranker's order, the others behind them."""
        history = shopper.history
        recalled = self._retriever.shortlist(
            history,
            self.shortlist,
            watch,
            contexts=shopper.contexts,
            search=shopper.search,
            allowed=allowed,
        )
        places = np.arange(len(recalled.rows))
        if not ranked or not len(places):
            return Candidates(
                rows=recalled.rows, scores=recalled.scores, recalled=recalled, ranks=1 + places
            )
        head = self._rank(history, recalled, watch, ranked=ranked)
        return head.followed_by(recalled.head(places[ranked:]), self._ranker.shortlist_weight)

    def _rank(
        self, history: Rows, found: Recalled, watch: dict[str, float], *, ranked: int | None = None
    ) -> Candidates:
        """The first of the given items in the ranker's order; ties keep the order they came in."""
        started = time.perf_counter()
        signals = self._signals(history, found)[:ranked]
        head = found.head(np.arange(len(signals)))
        logits = self._ranker(history, head.rows, head.scores, signals)
        watch["ranker"] = 1e3 * (time.perf_counter() - started)
        order = np.argsort(-logits, kind="stable")
        return Candidates(
            rows=head.rows[order],
            scores=logits[order],
            recalled=head.head(order),
            ranks=1 + order,
            ranker_scores=logits[order],
        )

    def _popular(self, rows: Rows) -> Candidates:
        return Candidates(rows=rows, scores=self._catalogue.popularity(rows).astype(np.float32))

    def _answer(
        self,
        limit: int,
        shopper: _Shopper,
        found: Candidates,
        watch: dict[str, float],
        started: float,
        *,
        unknown: tuple[str, ...],
    ) -> Answer:
        return Answer(
            items=found.items(self._catalogue, limit),
            basis=_basis(shopper),
            unknown_item_ids=unknown,
            unknown_user=shopper.unknown_user,
            milliseconds=_total(watch, started),
        )


def _basis(shopper: _Shopper) -> Basis:
    if shopper.search:
        return Basis.SEARCH
    return Basis.HISTORY if len(shopper.history) else Basis.POPULARITY


def _total(watch: dict[str, float], started: float) -> dict[str, float]:
    return {**watch, "total": 1e3 * (time.perf_counter() - started)}
