"""Cache on disk of the frozen layers' states for every token of a corpus."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from backbone.text_cache import weights_digest, writing


@dataclass(frozen=True, kw_only=True)
class FrozenStatesCache:
    """States of every token of every text, memory-mapped in half precision."""

    starts: NDArray[np.int64]
    """(texts + 1,): text t owns `states[starts[t]:starts[t + 1]]`"""
    states: NDArray[np.float16]
    """(tokens, hidden) states"""

    @classmethod
    def load_or_compute(
        cls,
        path: Path,
        lengths: NDArray[np.int64],
        hidden: int,
        read: Callable[[], Iterator[tuple[NDArray[np.int64], Tensor]]],
    ) -> "FrozenStatesCache":
        """Load the states from a file, or compute and save them first.

        The file is written atomically, so an incomplete one never exists.

        Args:
            path: File of the states.
            lengths: (texts,) number of tokens of each text.
            hidden: Size of a state.
            read: Yields (texts,) rows and (texts, length, hidden) states until all texts are done.
        """
        starts = np.cumsum([0, *lengths], dtype=np.int64)
        if not path.is_file():
            with writing(path) as partial:
                shape = (int(starts[-1]), hidden)
                table = np.lib.format.open_memmap(partial, "w+", dtype=np.float16, shape=shape)
                for rows, states in read():
                    halves = states.to(torch.float16).cpu().numpy()
                    for row, state in zip(rows.tolist(), halves, strict=True):
                        table[starts[row] : starts[row + 1]] = state[: lengths[row]]
                table.flush()
        return cls(starts=starts, states=np.load(path, mmap_mode="r"))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(texts,) number of tokens of each text."""
        return np.diff(self.starts)

    def of(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """States (texts, length, hidden) float32 and mask (texts, length) of some texts."""
        lengths = self.lengths[rows]
        columns = np.arange(lengths.max(initial=1))
        mask = columns < lengths[:, None]
        padded = np.zeros((*mask.shape, self.states.shape[1]), np.float32)
        padded[mask] = self.states[(self.starts[rows][:, None] + columns)[mask]]
        return torch.from_numpy(padded), torch.from_numpy(mask.astype(np.int64))


def states_name(bert: nn.Module, sequences: Sequence[NDArray[np.int32]], *, layers: int) -> str:
    """File name of the states: a hash of the weights, the texts and the number of layers.

    Args:
        bert: Encoder whose frozen layers compute the states.
        sequences: Word-piece ids of every text.
        layers: Number of trained layers above the states.
    """
    digest = weights_digest(bert)
    digest.update(np.array([layers, *map(len, sequences)]).data)
    for sequence in sequences:
        digest.update(np.ascontiguousarray(sequence).data)
    return f"states-{digest.hexdigest()}.npy"
