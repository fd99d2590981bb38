"""What frozen layers make of texts, kept on disk: read once, whoever asks."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
    """A folder of files, each whole or absent.

    A reading of pooled texts that was killed goes on; one of token states begins anew.
    """

    folder: Path

    @classmethod
    def of(
        cls, root: Path, backbone: nn.Module, sequences: Sequence[NDArray[np.int32]]
    ) -> "KeptTexts":
        """The folder of some texts as some weights read them in the precision that serves best.

        Other weights, texts or precisions have another.

        Args:
            root: Where such folders lie.
            backbone: Its weights are hashed, without those of adapters, which begin as nothing.
            sequences: Word-piece ids of every text.
        """
        digest = blake2b(str(serving_dtype(best_device())).encode(), digest_size=8)
        for name, weights in sorted(backbone.state_dict().items()):
            if "lora_" in name:
                continue
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
        with self._writing(path) as partial, partial.open("wb") as file:
            np.save(file, states.cpu().numpy())
        return states

    def token_states(
        self,
        lengths: NDArray[np.int64],
        hidden: int,
        layers: int,
        read: Callable[[], Iterator[tuple[NDArray[np.int64], Tensor]]],
    ) -> "TokenStates":
        """States of every token under the top layers, as they were read before, else read now.

        Args:
            lengths: (texts,) tokens of each text.
            hidden: Length of a state.
            layers: How many layers are the top.
            read: Yields (texts,) rows and (texts, length, hidden) states, until all texts had
                their turn.
        """
        path = self.folder / f"below-{layers}.npy"
        starts = np.cumsum([0, *lengths], dtype=np.int64)
        if not path.is_file():
            with self._writing(path) as partial:
                shape = (int(starts[-1]), hidden)
                table = np.lib.format.open_memmap(partial, "w+", dtype=np.float16, shape=shape)
                for rows, states in read():
                    halves = states.to(torch.float16).cpu().numpy()
                    for row, state in zip(rows.tolist(), halves, strict=True):
                        table[starts[row] : starts[row + 1]] = state[: lengths[row]]
                table.flush()
        return TokenStates(starts=starts, states=np.load(path, mmap_mode="r"))

    @contextmanager
    def _writing(self, path: Path) -> Iterator[Path]:
        """Where to write what becomes `path` once it is whole and on the disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for stale in self.folder.glob(f"{path.stem}.[0-9]*"):
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


@dataclass(frozen=True, kw_only=True)
class TokenStates:
    """States of every token of every text, memory-mapped in half precision."""

    starts: NDArray[np.int64]
    """(texts + 1,): text t owns `states[starts[t]:starts[t + 1]]`"""
    states: NDArray[np.float16]
    """(tokens, hidden)"""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(texts,) tokens of each text."""
        return np.diff(self.starts)

    def of(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """States (texts, length, hidden) float32 and mask (texts, length) of some texts."""
        lengths = self.lengths[rows]
        columns = np.arange(lengths.max(initial=1))
        mask = columns < lengths[:, None]
        padded = np.zeros((*mask.shape, self.states.shape[1]), np.float32)
        padded[mask] = self.states[(self.starts[rows][:, None] + columns)[mask]]
        return torch.from_numpy(padded), torch.from_numpy(mask.astype(np.int64))
