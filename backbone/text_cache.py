"""Cache on disk of encoded texts, shared by all stages: a backbone encodes each text once."""

import os
import socket
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
class TextCache:
    """A folder of texts encoded by one backbone, with the text's hash as the key.

    Changing, removing or reordering texts leaves the entries of all other texts valid. An
    interrupted encoding resumes after the last block that was written.
    """

    folder: Path

    @classmethod
    def of(
        cls, root: Path, bert: nn.Module, tokenizer: PreTrainedTokenizerBase, *, max_tokens: int
    ) -> "TextCache":
        """The cache for given weights in their precision, tokenizer and length.

        Args:
            root: Parent folder of all caches.
            bert: Backbone that encodes.
            tokenizer: Tokenizer of the backbone.
            max_tokens: Most word pieces of a text.
        """
        digest = weights_digest(bert)
        names = sorted(tokenizer.get_vocab().items())
        digest.update(repr((type(tokenizer).__name__, max_tokens, names)).encode())
        return cls(root / f"texts-{digest.hexdigest()}")

    def look_up(self, keys: Keys) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """(texts,) whether each text is cached, and (cached texts, hidden) their encodings.

        Args:
            keys: (texts,) result of `keys_of`.
        """
        known = np.zeros(len(keys), bool)
        places, found = [np.zeros(0, np.int64)], []
        for path in sorted(self.folder.glob(f"*{KEYS}")):
            stored = np.load(path)
            order = np.argsort(stored)
            place = np.searchsorted(stored, keys, sorter=order).clip(max=len(stored) - 1)
            here = ~known & (stored[order[place]] == keys)
            means = np.load(path.with_name(path.name.replace(KEYS, MEANS)), mmap_mode="r")
            found.append(means[order[place[here]]])
            places.append(np.flatnonzero(here))
            known |= here
        rows = np.argsort(np.concatenate(places))
        return known, np.concatenate(found)[rows] if found else np.zeros((0, 0), np.float32)

    def add(self, keys: Keys, means: NDArray[np.float32]) -> None:
        """Write the encodings of some texts to the cache.

        Args:
            keys: (texts,) keys of at least one text.
            means: (texts, hidden) encodings.
        """
        name = blake2b(keys.tobytes(), digest_size=8).hexdigest()
        for suffix, values in ((MEANS, means), (KEYS, keys)):
            with writing(self.folder / f"{name}{suffix}") as partial, partial.open("wb") as file:
                np.save(file, values)


def keys_of(texts: Sequence[str]) -> Keys:
    """(texts,): hash of each text, its key in the cache."""
    digests = (blake2b(text.encode(errors="surrogatepass"), digest_size=8) for text in texts)
    return np.frombuffer(b"".join(digest.digest() for digest in digests), np.uint64)


def weights_digest(bert: nn.Module) -> blake2b:
    """Digest of a backbone's weights in their precision, without adapters, which start at zero."""
    digest = blake2b(digest_size=8)
    for name, weights in sorted(bert.state_dict().items()):
        if "lora_" in name:
            continue
        digest.update(f"{name} {weights.dtype}".encode())
        digest.update(weights.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Write a file atomically: yields a temporary path, which becomes `path` on success.

    Removes temporary files of this host's processes that have ended.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname().replace(".", "-")
    for stale in path.parent.glob(f"{path.stem}.{host}-[0-9]*"):
        if not Path("/proc", stale.suffix.rpartition("-")[2]).exists():
            stale.unlink(missing_ok=True)
    partial = path.with_suffix(f".{host}-{os.getpid()}")
    try:
        yield partial
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
