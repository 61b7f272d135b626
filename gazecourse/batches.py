"""The order of the data and the random numbers of a run: functions of the seed, so that any step can be repeated."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from gazecourse.sample import Sample, collate


def seed_all(*numbers: int) -> None:
    """Seed Python's, NumPy's and PyTorch's generators (all devices) from any non-negative integers, well mixed."""
    seed = _mix(*numbers)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - data sets and augmentation libraries use the global generator
    torch.manual_seed(seed)


def _mix(*numbers: int) -> int:
    """One 63-bit seed from several integers; neighbors such as (0, 1) and (1, 0) give unrelated seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) % 2**63


class Batches(Dataset):
    """Every micro-batch of a run, in order. Number i is a function of (seed, i) alone.

    Each epoch is a fresh permutation; the samples that do not fill a batch are left out of it (others each time).

    Args:
        data: the samples; see ``fetch``.
        batch_size: samples per optimizer step, over all processes and micro-batches together.
        epochs, seed: as in ``training.Settings``.
        accumulate: micro-batches per optimizer step and process.
        rank, processes: which share of every batch this process takes.
    Raises:
        ValueError: the batch is larger than the data, or cannot be divided among processes and micro-batches.
    """

    def __init__(
        self,
        data: Dataset,
        batch_size: int,
        epochs: int = 1,
        seed: int = 0,
        *,
        accumulate: int = 1,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        if batch_size % (accumulate * processes):
            raise ValueError(
                f"batch_size must be a multiple of accumulate × processes = {accumulate * processes}; got {batch_size}."
            )
        if len(data) < batch_size:
            raise ValueError(f"batch_size must be at most the number of samples, {len(data)}; got {batch_size}.")
        self.data, self.batch_size, self.seed = data, batch_size, seed
        self.accumulate, self.rank, self.processes = accumulate, rank, processes
        self.steps_per_epoch = len(data) // batch_size
        self.total_steps = self.steps_per_epoch * epochs
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def __len__(self) -> int:
        return self.total_steps * self.accumulate

    def indices(self, step: int) -> Tensor:
        """Samples of one optimizer step, [accumulate, processes, samples]."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(_mix(self.seed, epoch))
            self._epoch, self._order = epoch, torch.randperm(len(self.data), generator=generator)
        chosen = self._order[position * self.batch_size :][: self.batch_size]
        return chosen.view(self.accumulate, self.processes, -1)

    def __getitem__(self, number: int) -> Any:
        step, part = divmod(number, self.accumulate)
        seed_all(self.seed, step, part, self.rank, 0)  # augmentation is the same in whatever worker it happens
        return fetch(self.data, self.indices(step)[part, self.rank].tolist())

    def loader(self, first_step: int = 0, workers: int = 0) -> Iterator[Any]:
        """This process's micro-batches from ``first_step`` to the end of the run, loaded by ``workers`` processes."""
        return iter(
            DataLoader(
                self,
                batch_size=None,
                sampler=range(first_step * self.accumulate, len(self)),
                num_workers=workers,
                collate_fn=_as_it_is,
                worker_init_fn=_ignore_interrupts,
                generator=torch.Generator().manual_seed(self.seed),
            )
        )


def fetch(data: Dataset, indices: list[int]) -> Any:
    """One batch of a data set: what its ``__getitems__`` returns, or its single samples, collated."""
    samples = data.__getitems__(indices) if hasattr(data, "__getitems__") else [data[index] for index in indices]
    if not isinstance(samples, list):
        return samples
    return collate(samples) if isinstance(samples[0], Sample) else default_collate(samples)


def _as_it_is(batch: Any) -> Any:
    return batch


def _ignore_interrupts(_: int) -> None:
    """Ctrl-C reaches workers too; the main process decides when they end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
