"""Options of the towers stage; importable without torch."""

from dataclasses import dataclass, field
from typing import Literal

from backbone.config import AugmentationConfig, TrainingConfig


@dataclass(frozen=True, kw_only=True)
class TowersConfig:
    """A BERT user tower and a BERT item tower, trained contrastively."""

    backbone: str = ".cache/all-MiniLM-L6-v2"
    """Backbone of the item tower, and of the user tower unless `user_backbone` is set: local folder
    of an encoder or a decoder, or hub name with the commit of its revision:
    `sentence-transformers/all-MiniLM-L6-v2@` and 40 hexadecimal digits."""
    user_backbone: str | None = None
    """Backbone of the user tower, named as `backbone`. For `reads: items` its layers are the
    initial weights; for `reads: titles` its tokenizer also reads the titles."""
    start_from: str | None = None
    """Folder of another shop's finished towers, which these start from: the text backbone, the item
    projection and the user tower, but no residuals. Backbone, dimension and `user_layers` must be
    the same. Has no effect without purchases. By default the pretrained backbone alone."""
    warm_start: str | None = None
    """Folder of finished towers of this shop's earlier data, which these go on from: all weights,
    and the residual of every item that is still there. What is held out must be later than all
    that they have learnt. By default the towers start anew."""
    warm_share: float = 0.3
    """Share of a whole training's examples that towers with `warm_start` are trained on."""
    dimension: int = 384
    """Dimension of an embedding."""
    widths: list[int] = field(default_factory=lambda: [64, 128, 256])
    """Dimensions of shorter prefixes that are trained to be embeddings, too (Matryoshka)."""
    item_tokens: int = 32
    """Most word pieces of an item's text."""
    item_layers: int = 0
    """Top layers of the item tower that are trained; with 0 each text is encoded once."""
    fresh_texts: int = 128
    """Texts per step that are encoded with gradients if layers of the item tower are trained."""
    searches: float = 0.5
    """Shoppers per history with a search for words of their target; for `reads: items`."""
    search_tokens: int = 16
    """Most word pieces of a search."""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    """Changes of searches in training."""
    cropped: float = 0.0
    """Probability of cutting a history in two in training, so that the newer part is read alone;
    for `reads: items`."""
    reordered: float = 0.0
    """Probability of reordering a fifth of a history in training; for `reads: items`."""
    residual: bool = True
    """Whether an item's embedding has a learned residual in addition to its text."""
    residual_shrinkage: float = 10.0
    """Number of purchases at which an item's residual has half its weight; without purchases it
    has none."""
    residual_dropout: float = 0.3
    """Probability of leaving out an item's residual at a training step, as if the item were new."""
    reads: Literal["items", "titles"] = "items"
    """Input of the user tower: one soft token per item, or the word pieces of the last titles."""
    history_length: int = 50
    """Most items of a history, the newest; for `reads: items`."""
    user_layers: int | None = None
    """Number of the backbone's lowest layers in the user tower; by default all."""
    title_tokens: int = 16
    """Most word pieces of one title in a history; for `reads: titles`."""
    history_tokens: int = 64
    """Most word pieces of a history, the newest titles that fit; for `reads: titles`."""
    uniform: int = 4_096
    """Uniform negatives, in addition to in-batch negatives; at least the number of bought items
    takes all of them."""
    hard: int = 0
    """Training examples for which hard negatives are mined before every epoch except the first;
    has no effect if `uniform` takes all bought items."""
    hard_margin: float = 0.95
    """Share of the target's cosine below which an item is a hard negative."""
    temperature: float = 0.05
    """Initial temperature, which divides the logits; it is learned."""
    prior: float = 0.0
    """Weight of the logarithm of an item's purchases in its logit, in training only. Embeddings
    then need not express popularity; larger values help rare items (Menon et al., "Long-tail
    learning via logit adjustment", ICLR 2021)."""
    averaging: float = 0.99
    """Decay of the moving average of the weights, which gives the final towers; with 0 they have
    the weights of the last step."""
    rows_at_once: int | None = None
    """Packed rows, or texts, whose activations are in memory at once in training, for batches that
    exceed memory; by default the whole batch."""
    category: str = ""
    """Attribute of keywords, such as `brand`, that the item tower learns, too; none by default."""
    category_weight: float = 0.1
    """Weight of the loss of `category` beside that of purchases."""
    valid_users: int = 2_000
    """Most moments of validation users that early stopping evaluates, and most of other users that
    weigh the recall sources."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How the towers are fine-tuned. `trained_layers` counts layers of the user tower. An example
    is a history, and `batch_size` counts items; for `reads: titles` both count purchases."""

    @property
    def of_user(self) -> str:
        """Name of the user tower's backbone."""
        return self.user_backbone or self.backbone

    @property
    def of_titles(self) -> str:
        """Name of the backbone whose tokenizer splits titles."""
        return self.of_user if self.reads == "titles" else self.backbone

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
            "category_weight",
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
        for name in ("residual_dropout", "averaging", "cropped", "reordered"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        self._require_widths()
        self._require_one_start()
        if self.training.adversarial != "none":
            self._require_words()
        if not 0.01 <= self.temperature <= 1:
            raise ValueError(f"temperature must be in [0.01, 1], got {self.temperature}")

    def _require_widths(self) -> None:
        if any(not 1 <= width < self.dimension for width in self.widths):
            raise ValueError(f"widths must be below {self.dimension}, got {self.widths}")

    def _require_one_start(self) -> None:
        if not 0 < self.warm_share <= 1:
            raise ValueError(f"warm_share must be in (0, 1], got {self.warm_share}")
        if self.start_from is not None and self.warm_start is not None:
            raise ValueError(
                "start_from and warm_start must not both be given, got "
                f"{self.start_from} and {self.warm_start}"
            )

    def _require_words(self) -> None:
        """Refuse adversarial training where a step reads no words, or reads them piecemeal."""
        kind = self.training.adversarial
        if self.reads != "titles" and not self.item_layers:
            raise ValueError(
                f"training.adversarial must be none where no words are read in training, got {kind}"
                "; add --item_layers=3 or --reads=titles"
            )
        if self.rows_at_once is not None:
            raise ValueError(
                f"rows_at_once must be left out where training.adversarial is {kind}, got "
                f"{self.rows_at_once}"
            )
