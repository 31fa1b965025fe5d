"""One seed, many independent random streams.

A run has a single seed. Every purpose that needs randomness (noise, initialisation, order of the
samples, augmentation, dropout, validation split) takes its own stream, named by (seed, purpose,
epoch). No purpose can disturb another, and a resumed run needs no saved generator state: the name
is the state.
"""

import hashlib

import torch


def stream(seed: int, purpose: str, epoch: int = 0) -> int:
    """Seed of the stream (seed, purpose, epoch): a 63-bit integer, the same on every platform."""
    name = f"{seed}/{purpose}/{epoch}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "little") >> 1


def generator(seed: int, purpose: str, epoch: int = 0) -> torch.Generator:
    """A CPU generator at the start of the stream. Drawing on the CPU gives the same order of
    samples and the same initial weights whatever device the run uses."""
    return torch.Generator().manual_seed(stream(seed, purpose, epoch))
