"""What a frozen backbone read of texts, kept on disk: read once, whoever asks."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from backbone.load import best_device, serving_dtype


@dataclass(frozen=True)
class KeptTexts:
    """A folder of batches, each whole or absent, so that a reading that was killed goes on."""

    folder: Path

    @classmethod
    def of(
        cls, root: Path, backbone: nn.Module, sequences: Sequence[NDArray[np.int32]]
    ) -> "KeptTexts":
        """The folder of some texts as some weights read them in the precision that serves best.

        Other weights, texts or precisions have another.

        Args:
            root: Where such folders lie.
            backbone: Its weights are hashed.
            sequences: Word-piece ids of every text.
        """
        digest = blake2b(str(serving_dtype(best_device())).encode(), digest_size=8)
        for name, weights in sorted(backbone.state_dict().items()):
            digest.update(name.encode())
            digest.update(weights.detach().cpu().contiguous().numpy().data)
        digest.update(np.array([len(sequence) for sequence in sequences]).data)
        for sequence in sequences:
            digest.update(np.ascontiguousarray(sequence).data)
        return cls(root / f"texts-{digest.hexdigest()}")

    def batch(self, rows: NDArray[np.int64], read: Callable[[], Tensor]) -> Tensor:
        """The texts of some rows as they were read before, else as `read` reads them now."""
        path = self.folder / f"{blake2b(rows.tobytes(), digest_size=8).hexdigest()}.npy"
        if path.is_file():
            return torch.from_numpy(np.load(path))
        states = read()
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        with partial.open("wb") as file:
            np.save(file, states.cpu().numpy())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        return states
