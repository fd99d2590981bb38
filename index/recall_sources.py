"""The recall sources, from the index to what a decoder generates, merged by one score."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.clock import NEVER, When
from dataset.demand import Demand
from dataset.interaction_codes import history_weights
from dataset.postings import bitmap_of, rows_of
from index.arrays import Rows, Scores
from index.by_history import (
    NOTHING,
    ByHistory,
    looked_up,
    neighbour_scores,
    own_amounts,
    own_logits,
)
from index.config import BestSellersConfig, NeighboursConfig
from index.count_rows import CountRows
from index.generated import Generated
from index.generated import logits as generated_logits
from index.item_knn import NEXT_ITEMS, NeighbourLists
from index.lexical.lexical import Lexical
from index.live_index import LiveIndex
from index.nearest import nearest_all
from index.open_store import load_store
from index.ranked_list import RankedList
from index.sales import WINDOW, Sales
from index.vector_store import VectorStore
from lineage.manifest import read_manifest
from lineage.stages import INDEX, TOWERS

WEIGHT = "neighbour weight"
"""Key of an index stage's fact: the weight that it chose or was given."""
HALF_LIFE = "history half-life"
"""Key of an index stage's fact: days that it chose or was given, 0 for decay by place."""
SALES_WEIGHT, SALES_WINDOW = "best sellers weight", "best sellers window"
"""Keys of an index stage's facts: weight and days that it chose or was given."""
OWN_WEIGHT = "own items weight"
"""Key of an index stage's fact: weight that it chose or was given, None if nothing comes back."""
SEARCHED, SEARCHES_ALONE = "searches are logged", "nothing but searches is logged"
"""Keys of an index stage's facts."""
WORDS_WEIGHT = "words weight"
"""Key of an index stage's fact: weight of the words of a search that it chose or was given."""
ACTION_WEIGHTS = "action weights"
"""Key of an index stage's fact: weight of each action number, 0 for actions that take away."""
IN_SEARCH = 1.0
"""Weight of the neighbour lists in an answer to a search: what a shopper bought orders the items
that share the words"""
OFF = BestSellersConfig(weight=0.0)


@dataclass(frozen=True, kw_only=True)
class RecallSources:
    """The index, the neighbour lists and the best sellers of one release, and what shoppers had."""

    index: LiveIndex
    """Index over the items' embeddings"""
    neighbours: NeighbourLists | None
    """Item-kNN lists; None if the source is off"""
    next_items: NeighbourLists | None
    """Items bought after each item; read by the features, not a recall source"""
    temperature: float
    """Divides cosines, as in the towers' training"""
    config: NeighboursConfig
    """How the sources are merged; its weight is set"""
    preference: NDArray[np.int64]
    """(items in the counts,) random order that breaks ties of item-kNN scores"""
    action_weights: Scores
    """(1 + actions,) weight of each action number in item-kNN scores"""
    sales: Sales | None = None
    """Purchases in the window of the best sellers; None where interactions have no times"""
    sales_weight: float = 0.0
    """Weight of the best sellers; 0 if they recall nothing"""
    own_weight: float | None = None
    """Weight of what the shopper had before; None where nothing may come back"""
    lexical: Lexical | None = None
    """Finds items by the words of a search; None if searches are left to the towers"""
    words_weight: float = 0.0
    """Weight of the words of a search; 0 if they recall nothing"""
    searched: bool = False
    """Whether searches are logged, so that the ranker reads them"""
    searches_alone: bool = False
    """Whether nothing else is logged, so that counts of items mean nothing"""
    generated: Generated | None = None
    """Generates items for a history; None if the source is off"""
    added: tuple[tuple[int, ...], ...] = ()
    """Added rows of each new item in the counts"""

    @cached_property
    def count_rows(self) -> CountRows:
        """Rows of the items in the counts."""
        return CountRows.of(self.index, self.added)

    @classmethod
    def of(
        cls,
        store: VectorStore,
        neighbours: NeighbourLists | None,
        *,
        temperature: float,
        config: NeighboursConfig,
        next_items: NeighbourLists | None = None,
        action_weights: Sequence[float] = (1.0,),
        demand: Demand | None = None,
        best_sellers: BestSellersConfig = OFF,
        own_weight: float | None = None,
    ) -> "RecallSources":
        """Assemble the recall sources of a release, without changes.

        Args:
            store: Holds the items' embeddings.
            neighbours: Item-kNN lists; None turns the source off.
            temperature: Divides cosines, as in the towers' training.
            config: How the sources are merged.
            next_items: Items bought after each item.
            action_weights: Weight of each action number in a history; a larger number weighs as
                the last.
            demand: Purchases by time; None turns the best sellers off.
            best_sellers: How they are merged, with a weight and a window.
            own_weight: Weight of what the shopper had before; None where nothing may come back.

        Raises:
            ValueError: there are item-kNN lists, but no weight for them.
        """
        if neighbours is not None and config.weight is None:
            raise ValueError("weight must be set when there are neighbour lists, got None")
        return cls(
            index=LiveIndex.of(store),
            neighbours=neighbours,
            next_items=next_items,
            temperature=temperature,
            config=config,
            preference=np.random.default_rng(0).permutation(len(store)),
            action_weights=np.asarray(action_weights, np.float32),
            sales=None
            if demand is None
            else Sales.of(demand, len(store), window=best_sellers.window or WINDOW),
            sales_weight=0.0 if demand is None else best_sellers.weight or 0.0,
            own_weight=own_weight,
        )

    @classmethod
    def load(cls, root: Path) -> "RecallSources":
        """Load the recall sources from a dataset's finished stages."""
        manifest = read_manifest(root / INDEX, INDEX)
        config = NeighboursConfig(**manifest.config["neighbours"])
        if config.kept:
            facts = manifest.facts
            config = replace(config, weight=facts[WEIGHT], half_life=facts[HALF_LIFE])
        sources = cls.of(
            load_store(root / INDEX, manifest.config.get("gpus", "auto")),
            NeighbourLists.load(root / INDEX) if config.kept else None,
            temperature=read_manifest(root / TOWERS, TOWERS).facts["temperature"],
            config=config,
            next_items=NeighbourLists.load(root / INDEX, NEXT_ITEMS) if config.kept else None,
            action_weights=manifest.facts[ACTION_WEIGHTS],
            demand=Demand.load(root / INDEX),
            best_sellers=BestSellersConfig(
                window=manifest.facts[SALES_WINDOW], weight=manifest.facts[SALES_WEIGHT]
            ),
            own_weight=manifest.facts[OWN_WEIGHT],
        )
        return replace(
            sources,
            lexical=Lexical.load(root / INDEX),
            words_weight=manifest.facts.get(WORDS_WEIGHT, 0.0),
            searched=manifest.facts.get(SEARCHED, False),
            searches_alone=manifest.facts.get(SEARCHES_ALONE, False),
        )

    def with_demand(self, demand: Demand, new: int = 0) -> "RecallSources":
        """The sources with other purchases by time, also of `new` items that the release lacks."""
        sales, built = self.sales, self.index.built
        return replace(
            self,
            sales=None if sales is None else sales.with_demand(demand, new),
            preference=np.append(self.preference[:built], np.arange(built, built + new)),
        )

    def nearest(
        self, embedding: Scores, excluded: Rows, size: int, *, allowed: BitMap | None = None
    ) -> tuple[Rows, Scores]:
        """Items nearest to an embedding.

        Args:
            embedding: (dimension,) of unit length.
            excluded: Item rows to leave out; their items are left out under any other row, too.
            size: Items wanted; fewer come back if the index finds fewer.
            allowed: Item rows to choose from; then `size` items come back if that many remain.
                None allows all items.

        Returns:
            Item rows and cosines, both (found,), best first.
        """
        return nearest_all(self.index, embedding[None], [excluded], size, allowed=[allowed])[0]

    def shortlist(
        self,
        embedding: Scores,
        history: Rows,
        size: int,
        *,
        uses_neighbours: bool = True,
        allowed: BitMap | None = None,
        interaction_codes: Rows | None = None,
        excluded: Rows | None = None,
        when: When = NEVER,
        search: str = "",
    ) -> RankedList:
        """The best items of all sources without the excluded ones, best first.

        Args:
            embedding: (dimension,) of the shopper, of unit length.
            history: Item rows, oldest first; may be empty.
            size: Items to recall from each source, and to return after merging.
            uses_neighbours: Whether the neighbour lists, the best sellers and own items recall.
                Without them, the neighbour lists still order what the words of a search find.
            allowed: Item rows to choose from; None for all.
            interaction_codes: (history,) interaction codes, whose actions weigh the history in
                item-kNN scores; None if unknown.
            excluded: Item rows to leave out; None for the history's.
            when: Time as of which items sell, and times of the history.
            search: What the shopper typed; empty for nothing.

        Raises:
            ValueError: best sellers are used, but `when` has no now.
        """
        return self.shortlists(
            embedding[None],
            [history],
            size,
            uses_neighbours=[uses_neighbours],
            allowed=[allowed],
            interaction_codes=[interaction_codes],
            excluded=[history if excluded is None else excluded],
            when=[when],
            searches=[search],
        )[0]

    def shortlists(
        self,
        embeddings: Scores,
        histories: Sequence[Rows],
        size: int,
        *,
        uses_neighbours: Sequence[bool] | None = None,
        allowed: Sequence[BitMap | None] | None = None,
        interaction_codes: Sequence[Rows | None] | None = None,
        excluded: Sequence[Rows] | None = None,
        when: Sequence[When] | None = None,
        searches: Sequence[str] | None = None,
    ) -> list[RankedList]:
        """`shortlist` for a batch of shoppers, embeddings (shoppers, dimension), in one search."""
        shoppers = range(len(histories))
        all_items = [None for _ in shoppers]
        left_out = histories if excluded is None else excluded
        by_towers = nearest_all(
            self.index, embeddings, left_out, size, allowed=allowed or all_items
        )
        generated = None
        if self.generated is not None:
            read = [
                history if uses_neighbours is None or uses_neighbours[place] else history[:0]
                for place, history in enumerate(histories)
            ]
            generated = self.generated.recalled(
                self.index, read, left_out, allowed or all_items, size
            )
        unions = [
            self.united(
                embeddings[place],
                histories[place],
                by_towers[place][0],
                size,
                uses_neighbours=uses_neighbours is None or uses_neighbours[place],
                allowed=None if allowed is None else allowed[place],
                interaction_codes=None if interaction_codes is None else interaction_codes[place],
                excluded=left_out[place],
                when=NEVER if when is None else when[place],
                search="" if searches is None else searches[place],
                by_generated=None if generated is None else generated[place],
            )
            for place in shoppers
        ]
        return [_shortlisted(union, size) for union in unions]

    def united(
        self,
        embedding: Scores,
        history: Rows,
        by_towers: Rows,
        size: int,
        *,
        uses_neighbours: bool = True,
        allowed: BitMap | None = None,
        interaction_codes: Rows | None = None,
        excluded: Rows | None = None,
        when: When = NEVER,
        search: str = "",
        by_generated: Rows | None = None,
    ) -> RankedList:
        """Items from which `shortlist` chooses: the `size` best of each source, unordered.

        Its further arguments are those of `shortlist`; `by_towers` are the item rows that the
        towers recalled, `by_generated` those that were generated, None for none.
        """
        words = self._words(search)
        by_history = self._by_history(
            history if uses_neighbours or words is not None else history[:0],
            interaction_codes,
            when,
            forgotten=True,
            searching=words is not None,
        )
        left = history if excluded is None else excluded
        left_out = self.count_rows(left)
        counted, scores = by_history.neighbours if uses_neighbours else NOTHING
        current = self._fresh(counted, self.count_rows.current(counted), left_out, allowed)
        best = np.lexsort((self.preference[counted], -scores))
        by_neighbours = current[best][current[best] >= 0][:size].astype(np.int32)
        by_own = by_neighbours[:0]
        by_generated = by_own if by_generated is None else by_generated
        if self.own_weight:
            by_own = self._own_items(*by_history.own, self.index.origins(left), size, allowed)
        when = when if uses_neighbours else NEVER
        best_sellers = uses_neighbours and self.sales is not None and self.sales_weight > 0
        by_sales = (
            self._best_sellers(left_out, size, allowed, when) if best_sellers else by_towers[:0]
        )
        by_words = by_towers[:0]
        if words is not None:
            by_words = self._best_words(words, left, size, allowed)
        rows, recalled = _joined(
            (by_towers, by_neighbours, by_sales, by_own, by_words, by_generated)
        )
        return replace(
            self._scored(embedding, rows, by_history, when, words),
            by_towers=recalled[0],
            by_neighbours=recalled[1],
            by_sales=recalled[2],
            by_own=recalled[3],
            by_words=recalled[4],
            by_generated=recalled[5],
        )

    @staticmethod
    def _fresh(
        rows: NDArray[np.integer],
        current: NDArray[np.integer],
        excluded: NDArray[np.integer],
        allowed: BitMap | None,
    ) -> NDArray[np.int64]:
        """(items,) `current` rows of the items at some rows, -1 for those not to be recalled."""
        fresh = ~np.isin(rows, excluded) & (current >= 0)
        if allowed is not None:
            fresh[fresh] = np.isin(current[fresh], rows_of(bitmap_of(current[fresh]) & allowed))
        return np.where(fresh, current, -1)

    def _words(self, search: str) -> Scores | None:
        """(rows,) scores of all items by the words of a search; None if words do not count."""
        if not self.weighs(search):
            return None
        assert self.lexical is not None
        return self.lexical.scores(search)

    def weighs(self, search: str) -> bool:
        """Whether the words of a search count; if so, a history's neighbour lists do, too."""
        return bool(search) and self.lexical is not None and self.words_weight > 0

    def _best_words(self, words: Scores, excluded: Rows, size: int, allowed: BitMap | None) -> Rows:
        """(found,) rows of the items of the best words that may be recalled; `size` at most."""
        assert self.lexical is not None
        visible = words.copy()
        visible[self.index.hidden_rows] = 0.0
        among = None if allowed is None else rows_of(allowed).astype(np.int32)
        left_out = np.unique(self.index.origins(excluded))
        found = self.lexical.best(visible, size + len(left_out), among)
        return found[~np.isin(self.index.origins(found), left_out)][:size]

    def _own_items(
        self, origins: Rows, amounts: Scores, excluded: Rows, size: int, allowed: BitMap | None
    ) -> Rows:
        """(found,) current rows of own items that may be recalled, most had first."""
        current = self._fresh(origins, self.index.current(origins), excluded, allowed)
        preference = self.preference[np.minimum(origins, len(self.preference) - 1)]
        best = np.lexsort((preference, -amounts))
        return current[best][current[best] >= 0][:size].astype(np.int32)

    def _best_sellers(
        self, excluded: NDArray[np.integer], size: int, allowed: BitMap | None, when: When
    ) -> Rows:
        """(found,) item rows of the best sellers as of now, best first; `size` at most."""
        assert self.sales is not None
        if when.now is None:
            raise ValueError("now must be given where best sellers are recalled, got None")
        parts, found, start, block = [], 0, 0, size + len(excluded)
        while found < size:
            sold = self.sales.sold(when.now, start, start + block)
            current = self._fresh(sold, self.count_rows.current(sold), excluded, allowed)
            parts.append(current[current >= 0])
            if len(sold) < block:
                break
            found, start, block = found + len(parts[-1]), start + block, 2 * block
        return np.concatenate(parts)[:size].astype(np.int32)

    def score_items(
        self,
        embedding: Scores,
        history: Rows,
        rows: Rows,
        *,
        interaction_codes: Rows | None = None,
        when: When = NEVER,
        search: str = "",
    ) -> RankedList:
        """Scores of all sources for given items, in the given order, marked as not recalled.

        Without a now in `when`, sales do not count.
        """
        words = self._words(search)
        by_history = self._by_history(
            history, interaction_codes, when, forgotten=False, searching=words is not None
        )
        return self._scored(embedding, rows, by_history, when, words)

    def merged(
        self,
        cosines: Scores,
        neighbour_scores: Scores,
        sales: Scores,
        own: Scores,
        words: Scores | None = None,
        *,
        generated: Scores | None = None,
        weight: float | Scores | None = None,
        sales_weight: float | Scores | None = None,
        own_weight: float | Scores | None = None,
        generated_weight: float | Scores | None = None,
    ) -> Scores:
        """(items,): logits that order a shortlist; (merges, items) for several weights.

        Args:
            cosines: (items,) cosines of the shopper's and the items' embeddings.
            neighbour_scores: (items,) item-kNN scores.
            sales: (items,) purchases in the window of the best sellers.
            own: (items,) amounts that the shopper had before.
            words: (items,) scores by the words of a search; None without one.
            generated: (items,) probabilities of being the next item; None if none is generated.
            weight: Weight of the neighbour lists, one or (merges, 1); by default as configured.
            sales_weight: Weight of the best sellers, likewise.
            own_weight: Weight of what the shopper had before, likewise.
            generated_weight: Weight of the generated items, likewise.
        """
        weight = self.config.weight if weight is None else weight
        sales_weight = self.sales_weight if sales_weight is None else sales_weight
        logits = cosines / self.temperature
        if self.neighbours is not None:
            logits = logits + weight * np.log(neighbour_scores + self.config.floor)
        if self.sales is not None and np.any(sales_weight):
            logits = logits + sales_weight * np.log1p(sales)
        own_weight = self.own_weight if own_weight is None else own_weight
        if own_weight is not None and np.any(own_weight):
            logits = logits + own_weight * own_logits(own)
        if words is not None:
            logits = logits + self.words_weight * words
        if self.generated is not None and generated is not None:
            of_generated = self.generated.weight if generated_weight is None else generated_weight
            logits = logits + of_generated * generated_logits(generated)
        scores: Scores = logits.astype(np.float32)
        return scores

    def _by_history(
        self,
        history: Rows,
        interaction_codes: Rows | None,
        when: When,
        *,
        forgotten: bool,
        searching: bool,
    ) -> ByHistory:
        """What the sources know of a history alone; beside a search, the neighbour lists only."""
        weights = self.weights_of(interaction_codes) if len(history) else None
        counted, own = self.count_rows(history), NOTHING
        if self.own_weight is not None and not searching:
            own = own_amounts(self.index.origins(history), weights, when)
        return ByHistory(
            items=history[:0] if searching else history,
            neighbours=neighbour_scores(
                self.neighbours, self.config, counted, weights, when, forgotten=forgotten
            ),
            own=own,
        )

    def weights_of(self, interaction_codes: Rows | None) -> Scores | None:
        """(history,) weights of a history's actions, the largest is 1; None if equal or unknown."""
        if interaction_codes is None:
            return None
        return history_weights(self.action_weights, interaction_codes)

    def _scored(
        self,
        embedding: Scores,
        rows: Rows,
        by_history: ByHistory,
        when: When,
        words: Scores | None,
    ) -> RankedList:
        """Scores of all sources for `rows`; `words` are those of all items."""
        matched = None if words is None else words[rows]
        cosines = (self.index.vectors(rows) @ embedding).astype(np.float32)
        counted = self.count_rows(rows)
        shared = looked_up(counted, *by_history.neighbours)
        amounts = looked_up(self.index.origins(rows), *by_history.own)
        sales = np.zeros(len(rows), np.float32)
        if self.sales is not None and when.now is not None and words is None:
            sales = self.sales.counts(counted, when.now).astype(np.float32)
        weight = None if words is None else IN_SEARCH
        merged = learnt = self.merged(cosines, shared, sales, amounts, matched, weight=weight)
        generated = np.zeros(len(rows), np.float32)
        if self.generated is not None:
            generated = self.generated.probabilities(self.index, by_history.items, rows)
            merged = self.merged(
                cosines, shared, sales, amounts, matched, generated=generated, weight=weight
            )
        return replace(
            RankedList.of(rows, merged),
            shortlist_scores=learnt,
            cosines=cosines,
            neighbour_scores=shared,
            sales=sales,
            own=amounts,
            words=np.zeros(len(rows), np.float32) if matched is None else matched,
            generated=generated,
        )


def _joined(lists: Sequence[Rows]) -> tuple[Rows, NDArray[np.bool_]]:
    """(items,) distinct rows of lists, in their order; (lists, items) which list holds each."""
    listed = np.concatenate(lists)
    _, firsts, places = np.unique(listed, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    at = np.empty_like(order)
    at[order] = np.arange(len(order))
    holds = np.zeros((len(lists), len(order)), np.bool_)
    holds[np.repeat(np.arange(len(lists)), [len(rows) for rows in lists]), at[places]] = True
    return listed[firsts[order]], holds


def _shortlisted(union: RankedList, size: int) -> RankedList:
    """The best items of a union, best first; ties keep their order."""
    best = union.take(np.argsort(-union.scores, kind="stable")[:size])
    return replace(best, shortlist_ranks=1 + np.arange(len(best)))
