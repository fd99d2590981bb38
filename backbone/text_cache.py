"""What a pretrained backbone makes of texts, kept on disk: each read once, whoever asks."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedTokenizerBase

KEYS, MEANS = ".keys.npy", ".means.npy"
Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class KeptTexts:
    """A folder of readings by one backbone, found by the text alone.

    Texts that change, go or move leave those of all others in their place. A reading that was
    killed goes on where it stopped.
    """

    folder: Path

    @classmethod
    def of(
        cls, root: Path, bert: nn.Module, tokenizer: PreTrainedTokenizerBase, *, max_tokens: int
    ) -> "KeptTexts":
        """The folder of some weights in their precision.

        Args:
            root: Where such folders lie.
            bert: What reads.
            tokenizer: What it reads by.
            max_tokens: Word pieces of a text at most.
        """
        digest = weights_digest(bert)
        names = sorted(tokenizer.get_vocab().items())
        digest.update(repr((type(tokenizer).__name__, max_tokens, names)).encode())
        return cls(root / f"texts-{digest.hexdigest()}")

    def look_up(self, keys: Keys) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Which of the texts are kept, and (kept texts, hidden) what was read of them.

        Args:
            keys: (texts,) as of `keys_of`.
        """
        known = np.zeros(len(keys), bool)
        places, found = [np.zeros(0, np.int64)], []
        for path in sorted(self.folder.glob(f"*{KEYS}")):
            held = np.load(path)
            order = np.argsort(held)
            place = np.searchsorted(held, keys, sorter=order).clip(max=len(held) - 1)
            here = ~known & (held[order[place]] == keys)
            means = np.load(path.with_name(path.name.replace(KEYS, MEANS)), mmap_mode="r")
            found.append(means[order[place[here]]])
            places.append(np.flatnonzero(here))
            known |= here
        rows = np.argsort(np.concatenate(places))
        return known, np.concatenate(found)[rows] if found else np.zeros((0, 0), np.float32)

    def add(self, keys: Keys, means: NDArray[np.float32]) -> None:
        """Keep what was read of some texts.

        Args:
            keys: (texts,) at least one.
            means: (texts, hidden)
        """
        name = blake2b(keys.tobytes(), digest_size=8).hexdigest()
        for suffix, values in ((MEANS, means), (KEYS, keys)):
            with writing(self.folder / f"{name}{suffix}") as partial, partial.open("wb") as file:
                np.save(file, values)


def keys_of(texts: Sequence[str]) -> Keys:
    """(texts,) what each is found by."""
    digests = (blake2b(text.encode(errors="surrogatepass"), digest_size=8) for text in texts)
    return np.frombuffer(b"".join(digest.digest() for digest in digests), np.uint64)


def weights_digest(bert: nn.Module) -> blake2b:
    """Of the weights in their precision, but for those of adapters, which begin as nothing."""
    digest = blake2b(digest_size=8)
    for name, weights in sorted(bert.state_dict().items()):
        if "lora_" in name:
            continue
        digest.update(f"{name} {weights.dtype}".encode())
        digest.update(weights.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Where to write what becomes `path` once it is whole and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.glob(f"{path.stem}.[0-9]*"):
        if not Path("/proc", stale.suffix[1:]).exists():
            stale.unlink(missing_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        yield partial
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
