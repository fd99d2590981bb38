"""Random tiny backbones of every kind, with tokenizers trained on a handful of lines."""

from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AlbertConfig,
    AutoModel,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    GPT2Config,
    MobileBertConfig,
    ModernBertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)

from tests.conftest import COLOURS, THINGS

LINES = [f"{colour} {thing}s" for colour in COLOURS for thing in THINGS]
LINES += ["rote Tasse", "красная кружка", "赤い マグ", "tasse rouge"]
HIDDEN, LAYERS = 32, 2
BERT_TOKENS = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
XLMR_TOKENS = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
SHAPE = {"hidden_size": HIDDEN, "num_attention_heads": 2, "max_position_embeddings": 96}
BERT = {**SHAPE, "num_hidden_layers": LAYERS, "intermediate_size": 64}


def word_pieces() -> PreTrainedTokenizerFast:
    """WordPiece, as BERT has it."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [BERT_TOKENS[name] for name in ("pad", "unk", "cls", "sep", "mask")]
    made.train_from_iterator(
        LINES[: len(COLOURS) * len(THINGS)],
        trainers.WordPieceTrainer(vocab_size=120, special_tokens=special, show_progress=False),
    )
    return _fast(made, BERT_TOKENS)


def unigrams(names: dict[str, str] = XLMR_TOKENS) -> PreTrainedTokenizerFast:
    """Unigram pieces of SentencePiece's kind, as XLM-R has them."""
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.train_from_iterator(
        LINES,
        trainers.UnigramTrainer(
            vocab_size=150,
            special_tokens=list(names.values()),
            unk_token=names["unk"],
            show_progress=False,
        ),
    )
    return _fast(made, names)


def byte_pairs(names: dict[str, str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE, as RoBERTa, ModernBERT and GPT-2 have it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        LINES,
        trainers.BpeTrainer(
            vocab_size=350,
            special_tokens=list(names.values()),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return _fast(made, names)


def _fast(made: Tokenizer, names: dict[str, str]) -> PreTrainedTokenizerFast:
    special = {f"{name}_token": token for name, token in names.items()}
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)


MODERN = {"pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "unk": "[UNK]", "mask": "[MASK]"}
ALBERT = {"pad": "<pad>", "unk": "<unk>", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
KINDS: dict[str, tuple[Callable[[], PreTrainedTokenizerFast], Callable[..., object]]] = {
    "bert": (word_pieces, lambda **ids: BertConfig(**BERT, **ids)),
    "multilingual-e5": (unigrams, lambda **ids: BertConfig(**BERT, **ids)),
    "xlm-roberta": (unigrams, lambda **ids: XLMRobertaConfig(**BERT, type_vocab_size=1, **ids)),
    "roberta": (
        lambda: byte_pairs(XLMR_TOKENS),
        lambda **ids: RobertaConfig(**BERT, type_vocab_size=1, **ids),
    ),
    "albert": (
        lambda: unigrams(ALBERT),
        lambda **ids: AlbertConfig(**BERT, embedding_size=16, **ids),
    ),
    "distilbert": (
        word_pieces,
        lambda **ids: DistilBertConfig(
            dim=HIDDEN, n_layers=LAYERS, n_heads=2, hidden_dim=64, max_position_embeddings=96, **ids
        ),
    ),
    "electra": (word_pieces, lambda **ids: ElectraConfig(**BERT, embedding_size=16, **ids)),
    "mobilebert": (
        word_pieces,
        lambda **ids: MobileBertConfig(
            **BERT, embedding_size=16, intra_bottleneck_size=16, num_feedforward_networks=2, **ids
        ),
    ),
    "modernbert": (
        lambda: byte_pairs(MODERN),
        lambda **ids: ModernBertConfig(
            **BERT, local_attention=8, global_attn_every_n_layers=2, **ids
        ),
    ),
    "gpt2": (
        lambda: byte_pairs({"eos": "<|endoftext|>"}),
        lambda **ids: GPT2Config(n_embd=HIDDEN, n_layer=LAYERS, n_head=2, n_positions=96, **ids),
    ),
}
"""Tokenizer and configuration of each kind, given the tokenizer's ids"""


def save_tiny(folder: Path, kind: str) -> Path:
    """Write an untrained backbone of a kind and its tokenizer."""
    folder.mkdir(exist_ok=True)
    tokenizer, config = KINDS[kind]
    made = tokenizer()
    made.save_pretrained(folder)
    names = ("pad", "bos", "eos", "cls", "sep")
    ids = {f"{n}_token_id": getattr(made, f"{n}_token_id") for n in names}
    known = {name: number for name, number in ids.items() if number is not None}
    torch.manual_seed(0)
    model = AutoModel.from_config(config(vocab_size=len(made), **known))
    for weights in model.parameters():  # an untrained padding row is zero, a trained one is not
        torch.nn.init.normal_(weights, std=0.2) if weights.ndim > 1 else None
    model.save_pretrained(folder)
    return folder
