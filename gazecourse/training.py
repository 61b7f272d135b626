"""One explicit training loop for every system of the course.

``train`` is the loop; read it first. It knows nothing about gaze: a system brings a function
``losses(model, batch) -> {"loss": ..., ...}`` and, where it has opponents (PureGaze), its own ``backward``.

Device, precision, loss scaling and processes are Lightning Fabric's work. The same lines run on a CPU, on a GPU in
mixed precision, and in several processes (``fabric = make_fabric(devices=2)``, then ``fabric.launch()``): Fabric wraps
model and optimizers and leaves the loop visible. It is imported when a run starts, so that this file can be imported
where it is not installed.

A resumed run repeats the run without the stop, to the last bit on a CPU, because nothing is left to chance:

* the order of the data and the learning rate are functions of the seed and the step, not of an iterator's state;
* the random numbers of a step (dropout, augmentation) come from generators seeded by seed, step and process;
* weights, buffers, optimizer moments and the loss scale are in the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from gazecourse.batches import Batches, fetch, seed_all
from gazecourse.history import History
from gazecourse.logbook import Logbook, Observer
from gazecourse.validation import check_choice, describe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Losses = Callable[[nn.Module, Any], dict[str, Tensor]]
Evaluate = Callable[[nn.Module], dict[str, float]]
Schedule = Callable[[float], float]


@dataclass(frozen=True)
class Settings:
    """What a run needs to be repeated, apart from model, losses, data, optimizers and schedule.

    Attributes:
        epochs: passes over the data.
        batch_size: samples per optimizer step, over all processes and micro-batches together.
        seed: decides the order of the data and every random number of the run.
        accumulate: micro-batches per optimizer step. The gradient is that of the whole batch (for losses that are
            means over samples; BatchNorm sees micro-batches), with a fraction of the memory.
        workers: processes that load data; 0 loads in this one, best for sets in memory. Changes no number.
        record_every: steps from one record to the next; None records about a thousand times a run.
        save_every: steps between checkpoints, besides one after each epoch; None for these alone.
    """

    epochs: int
    batch_size: int
    seed: int = 0
    accumulate: int = 1
    workers: int = 0
    record_every: int | None = None
    save_every: int | None = None

    def __post_init__(self) -> None:
        least = {"seed": 0, "workers": 0}
        for name, value in asdict(self).items():
            if value is None and name in ("record_every", "save_every"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least.get(name, 1):
                raise ValueError(f"{name} must be an integer from {least.get(name, 1)} up; got {describe(value)}.")


@dataclass(frozen=True)
class OneCycle:
    """Learning rate over a run: a cosine from 1/25 of the peak up to it, then a cosine down to zero (Smith 2018).

    The warm-up matters here: a gaze network first learns to report the head pose, and with large steps from the
    start it can stay on that plateau.

    Args:
        warmup: the rising part of the run, in (0, 1).
    """

    warmup: float = 0.25

    def __post_init__(self) -> None:
        if not 0 < self.warmup < 1:
            raise ValueError(f"warmup must lie between 0 and 1; got {self.warmup!r}.")

    def __call__(self, progress: float) -> float:
        """Factor of the peak learning rate at ``progress`` in [0, 1]."""
        if progress < self.warmup:
            return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / self.warmup)) / 2
        return (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup))) / 2


@dataclass(frozen=True)
class StepDecay:
    """Learning rate times ``factor`` at each of the given parts of the run, e.g. ``StepDecay(at=(10 / 15, 13 / 15))``.

    With nothing in ``at`` it is constant.
    """

    at: tuple[float, ...] = ()
    factor: float = 0.1

    def __call__(self, progress: float) -> float:
        """Factor of the peak learning rate at ``progress`` in [0, 1]."""
        return self.factor ** sum(progress >= part for part in self.at)


class Backward(Protocol):
    """How gradients reach the parameters. ``model`` is the plain model, for its groups of parameters."""

    def __call__(self, fabric: Fabric, model: nn.Module, losses: dict[str, Tensor]) -> None: ...


def backward_total(fabric: Fabric, model: nn.Module, losses: dict[str, Tensor]) -> None:
    """The ordinary case: every parameter gets the gradient of ``losses["loss"]``."""
    fabric.backward(losses["loss"])


def train(
    model: nn.Module,
    losses: Losses,
    data: Dataset,
    optimizers: Optimizer | Sequence[Optimizer],
    settings: Settings,
    *,
    schedule: Schedule = OneCycle(),
    backward: Backward = backward_total,
    evaluate: Evaluate | None = None,
    observer: Observer | None = None,
    folder: Path | str | None = None,
    resume: bool = False,
    fabric: Fabric | None = None,
) -> History:
    """Train ``model`` in place, leave it in evaluation mode, and return what was recorded.

    The Stop button of the observer or one interrupt (Ctrl-C, Jupyter's ■) ends the run after the step at hand, with
    a checkpoint. A second interrupt ends it at once, and the last checkpoint stays. ``history.status`` tells which;
    ``resume=True`` goes on from the checkpoint.

    Args:
        model: moved to the device, and to channels-last memory, which convolutions are fastest in.
        losses: ``losses(model, batch)`` returns scalar tensors by name. "loss" is what ``backward_total`` minimizes;
            the others are recorded, and there for a ``backward`` of your own. Call the model as a whole.
        data: anything with ``len`` that gives samples, or with ``__getitems__`` whole batches.
        optimizers: one, or several that each own some of the parameters. Their learning rate is the schedule's peak.
        settings: epochs, batch size, seed and so on.
        schedule: factor of the learning rate as a function of progress in [0, 1].
        backward: how gradients reach the parameters. It is given the losses, divided by ``accumulate``, and calls
            ``fabric.backward(loss, inputs=...)`` to send a loss to some parameters only.
        evaluate: ``evaluate(model)`` returns numbers by name. Called after each epoch in every process, in evaluation
            mode and without gradients.
        observer: is shown the progress and may stop the run, e.g. ``LiveCurve()``.
        folder: where ``history.jsonl`` and ``checkpoint.safetensors`` go; None writes nothing.
        resume: go on with the run in ``folder`` if there is a checkpoint; otherwise a new run takes its place.
        fabric: device, precision and processes; default ``make_fabric()``.
    Raises:
        FloatingPointError: a loss became NaN or infinite; the message names the step, the batch and the checkpoint.
        CourseError: the checkpoint is damaged, belongs to other settings, or cannot be written.
    """
    optimizers = [optimizers] if isinstance(optimizers, Optimizer) else list(optimizers)
    fabric = fabric or make_fabric(several_optimizers=len(optimizers) > 1)
    _check_loss_scale(fabric, optimizers)
    _remember_peak_rates(optimizers)
    batches = Batches(
        data,
        settings.batch_size,
        settings.epochs,
        settings.seed,
        accumulate=settings.accumulate,
        rank=fabric.global_rank,
        processes=fabric.world_size,
    )
    wrapped, *stepping = fabric.setup(model.to(memory_format=torch.channels_last), *optimizers)
    log = Logbook(
        fabric,
        model,
        optimizers,
        batches,
        plan=_plan(settings, schedule, data),
        observer=observer,
        folder=folder,
        record_every=settings.record_every,
        save_every=settings.save_every,
    )
    log.open(resume)
    loader = batches.loader(log.step, settings.workers)

    with log.recorded():
        while True:
            if evaluate is not None and log.evaluation_is_due():
                log.record_evaluation(_evaluated(model, evaluate))
            if log.checkpoint_is_due():
                log.save()
            if log.is_over():
                break

            wrapped.train()
            for optimizer in optimizers:
                optimizer.zero_grad()
                for group in optimizer.param_groups:
                    group["lr"] = group["initial_lr"] * schedule(log.step / batches.total_steps)

            totals: dict[str, Tensor] = {}
            with log.naming_the_batch():
                for part in range(settings.accumulate):
                    batch = fabric.to_device(next(loader))
                    seed_all(settings.seed, log.step, part, fabric.global_rank, 1)
                    with fabric.no_backward_sync(wrapped, enabled=part + 1 < settings.accumulate):
                        terms = _checked(losses(wrapped, batch))
                        terms = {name: term / settings.accumulate for name, term in terms.items()}
                        backward(fabric, model, terms)
                    for name, term in terms.items():
                        totals[name] = totals.get(name, 0) + term.detach()

            values = _mean_over_processes(fabric, totals)
            log.require_finite(values)  # before the optimizers step: a bad loss never reaches the weights
            for optimizer in stepping:
                optimizer.step()
            log.record_step(values)
    model.eval()
    return log.history


def make_fabric(
    devices: int = 1, accelerator: str = "auto", precision: str = "auto", *, several_optimizers: bool = False
) -> Fabric:
    """The machine to train on. By default one device: a GPU if there is one, else the CPU.

    Args:
        devices: GPUs, or CPU processes; with more than one, call ``.launch()`` on the result before anything else.
        accelerator: "auto", "cpu", "cuda" or "mps".
        precision: Fabric's name for it. "auto" takes bfloat16 mixed precision on GPUs that have it, float16 mixed
            precision with loss scaling on older ones, float32 elsewhere.
        several_optimizers: keep to float32 rather than float16: the loss scale serves one optimizer only.
    """
    from lightning_fabric import Fabric

    check_choice("accelerator", accelerator, ("auto", "cpu", "cuda", "mps"))
    if precision == "auto":
        on_gpu = accelerator in ("auto", "cuda") and torch.cuda.is_available()
        precision = _gpu_precision(several_optimizers) if on_gpu else "32-true"
    return Fabric(accelerator=accelerator, devices=devices, precision=precision)


def _gpu_precision(several_optimizers: bool) -> str:
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16-mixed"
    return "32-true" if several_optimizers else "16-mixed"


def _check_loss_scale(fabric: Fabric, optimizers: list[Optimizer]) -> None:
    if len(optimizers) > 1 and fabric.strategy.precision.state_dict():
        raise ValueError("fabric scales the loss (16-mixed), which serves one optimizer only; use bf16-mixed.")


def _remember_peak_rates(optimizers: list[Optimizer]) -> None:
    """As PyTorch's schedulers do: a group keeps the learning rate that it was made with."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])


def _plan(settings: Settings, schedule: Schedule, data: Dataset) -> dict:
    """What a resumed run must share with the one it continues."""
    must_agree = {name: value for name, value in asdict(settings).items() if name not in ("workers", "save_every")}
    return {**must_agree, "schedule": repr(schedule), "samples": len(data)}


@torch.no_grad()
def _evaluated(model: nn.Module, evaluate: Evaluate) -> dict[str, float]:
    model.eval()
    return {name: float(value) for name, value in evaluate(model).items()}


def _checked(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    scalars = isinstance(terms, dict) and all(isinstance(t, Tensor) and t.ndim == 0 for t in terms.values())
    if not scalars or "loss" not in terms:
        raise ValueError(f"losses must return a dict of scalar tensors with the key 'loss'; got {describe(terms)}.")
    return terms


def _mean_over_processes(fabric: Fabric, totals: dict[str, Tensor]) -> dict[str, float]:
    stacked = fabric.all_reduce(torch.stack([total.float() for total in totals.values()]), reduce_op="mean")
    return dict(zip(totals, stacked.tolist(), strict=True))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout and BatchNorm are in evaluation mode in the block, and afterwards as they were."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@torch.no_grad()
def predict(
    model: nn.Module, data: Dataset, forward: Callable[[nn.Module, Any], Tensor], batch_size: int = 256
) -> Tensor:
    """Outputs of a model for a whole data set, in order. Dropout and BatchNorm are in evaluation mode.

    Args:
        forward: ``forward(model, batch)`` returns a tensor [B, ...], e.g. ``lambda m, b: m(b.float_image())``.
    Returns:
        float32 [len(data), ...] on the CPU.
    """
    device = next(model.parameters()).device
    chunks = torch.arange(len(data)).split(batch_size)
    with evaluating(model):
        outputs = [forward(model, fetch(data, chunk.tolist()).to(device)).float().cpu() for chunk in chunks]
    return torch.cat(outputs)
