"""Chooses the device and the precision in which models run."""

import os

import torch
from torch import nn

PRECISION = "SHORTLIST_PRECISION"
"""Environment variable that sets the precision of training and serving."""

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
"""The precisions that `SHORTLIST_PRECISION` names."""


def best_device() -> torch.device:
    """A CUDA GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def seed_generators(seed: int) -> None:
    """Seed torch's generators of the CPU and of all GPUs.

    `torch.manual_seed` also formats the call stack, for kinds of device that nothing runs on here;
    that takes as long as a step of a small model.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)


def serving_dtype(device: torch.device) -> torch.dtype:
    """Precision of training and serving on the device.

    The environment variable `SHORTLIST_PRECISION` sets it: `bf16`, `fp32` or `auto`, the default.
    `auto` takes bf16 if the hardware multiplies it natively, else fp32.

    Raises:
        ValueError: the environment variable has another value.
    """
    precision = os.environ.get(PRECISION, "auto")
    if precision in DTYPES:
        return DTYPES[precision]
    if precision != "auto":
        raise ValueError(f"{PRECISION} must be auto, {' or '.join(DTYPES)}, got {precision!r}")
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    flags = torch.cpu.get_capabilities()
    return torch.bfloat16 if flags.get("avx512_bf16") or flags.get("amx_bf16") else torch.float32


def in_precision(module: nn.Module, device: torch.device, dtype: torch.dtype | None = None) -> None:
    """Move a module to a device, with its weights in a precision, by default the serving one.

    Buffers stay exact: ModernBERT's rotations by position need more digits than bf16 has.
    """
    module.to(device)
    for weights in module.parameters():
        weights.data = weights.data.to(dtype or serving_dtype(device))


def autocast(device: torch.device, dtype: torch.dtype | None = None) -> torch.autocast:
    """Autocast of matrix products to a precision, by default the device's serving precision."""
    dtype = dtype or serving_dtype(device)
    return torch.autocast(device.type, dtype, enabled=dtype is not torch.float32)
