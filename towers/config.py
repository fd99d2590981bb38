"""Options of the towers; importable without torch."""

from dataclasses import dataclass, field
from typing import Literal

from backbone.config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class TowersConfig:
    """A BERT user tower and a BERT item tower, trained contrastively."""

    backbone: str = ".cache/all-MiniLM-L6-v2"
    """Hub name or local folder of a BERT-like encoder."""
    dimension: int = 384
    """Length of an embedding."""
    widths: list[int] = field(default_factory=lambda: [64, 128, 256])
    """Shorter beginnings of an embedding that are trained to be embeddings of their own."""
    item_tokens: int = 32
    """Word pieces of an item's text at most."""
    item_layers: int = 0
    """Top layers of the item tower that are trained; with 0 the texts are read once."""
    fresh_texts: int = 128
    """Texts a step that are read with gradients, where the item tower's layers are trained."""
    searches: float = 0.5
    """Shoppers a history that search for words of their target; for `reads: items`."""
    search_tokens: int = 16
    """Word pieces of a search at most."""
    residual: bool = True
    """Whether an item has an embedding of its own beside its text's."""
    residual_shrinkage: float = 10.0
    """Purchases at which half of an item's own embedding counts; one that was never bought has
    its text alone."""
    residual_dropout: float = 0.3
    """Chance of training a step without an item's own embedding, as if the item were new."""
    reads: Literal["items", "titles"] = "items"
    """What the user tower reads: one soft token an item, or the word pieces of the last titles."""
    history_length: int = 50
    """Items of a history at most, the newest; for `reads: items`."""
    user_layers: int | None = None
    """Lowest layers of the backbone that the user tower has; by default all."""
    title_tokens: int = 16
    """Word pieces of one title in a history at most; for `reads: titles`."""
    history_tokens: int = 64
    """Word pieces of a history at most, the newest titles that fit; for `reads: titles`."""
    uniform: int = 4_096
    """Items drawn uniformly as negatives, beside the batch's own; as many as there are, or more,
    takes the whole corpus."""
    hard: int = 0
    """Training points for which hard negatives are mined before every epoch but the first; of no
    use where the whole corpus is taken."""
    hard_margin: float = 0.95
    """Share of the target's cosine up to which an item is a hard negative."""
    temperature: float = 0.05
    """Divides the logits at the start; then learned."""
    prior: float = 0.0
    """What the logarithm of an item's purchases counts in its logit, in training alone: so much of
    popularity embeddings need not say, and the larger it is, the better for rare items (Menon et
    al., "Long-tail learning via logit adjustment", ICLR 2021)."""
    averaging: float = 0.99
    """Share of the averaged weights that stays at each step; they are what is kept in the end.
    With 0 those of the last step are."""
    rows_at_once: int | None = None
    """Packed rows, and texts, whose activations are held at once in training: for batches beyond
    memory; by default all of a batch."""
    valid_users: int = 2_000
    """Users of the validation split that early stopping watches."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How the towers are fine-tuned. `trained_layers` are the user tower's. An example is a
    history, and `batch_size` counts the items in it; for `reads: titles` both are purchases."""

    def __post_init__(self) -> None:
        for name in ("dimension", "title_tokens", "valid_users"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in (
            "item_layers",
            "fresh_texts",
            "uniform",
            "searches",
            "hard",
            "prior",
            "residual_shrinkage",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("item_tokens", "history_tokens", "search_tokens"):
            if getattr(self, name) < 3:
                raise ValueError(f"{name} must be at least 3, got {getattr(self, name)}")
        if self.rows_at_once is not None and self.rows_at_once < 1:
            raise ValueError(f"rows_at_once must be at least 1, got {self.rows_at_once}")
        if self.history_length < 2:
            raise ValueError(f"history_length must be at least 2, got {self.history_length}")
        for name in ("residual_dropout", "averaging"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if any(not 1 <= width < self.dimension for width in self.widths):
            raise ValueError(f"widths must be below {self.dimension}, got {self.widths}")
        if not 0.01 <= self.temperature <= 1:
            raise ValueError(f"temperature must be in [0.01, 1], got {self.temperature}")
