"""The clerk of a training run: progress, history, checkpoints, and the ways in which a run can end."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from torch import nn
from torch.optim import Optimizer

from gazecourse import checkpoint
from gazecourse.batches import Batches
from gazecourse.errors import CourseError
from gazecourse.history import FILE_NAME, History, describe_run

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: optimizer steps done since the beginning, over all sessions of a resumed run.
        total_steps, steps_per_epoch, batch_size: of the whole run.
        status: "running", "finished", "stopped", "interrupted" or "failed".
        earlier_seconds: what the sessions before this one took.
        session_steps, session_seconds: done in this session, everything included.
        training_seconds: of this session, spent in training steps alone.
    """

    total_steps: int
    steps_per_epoch: int
    batch_size: int
    step: int = 0
    status: str = "running"
    earlier_seconds: float = 0.0
    session_steps: int = 0
    session_seconds: float = 0.0
    training_seconds: float = 0.0

    @property
    def epoch(self) -> int:
        """Epochs completed."""
        return self.step // self.steps_per_epoch

    @property
    def seconds(self) -> float:
        """Time the run has taken, pauses between sessions left out."""
        return self.earlier_seconds + self.session_seconds

    @property
    def images_per_second(self) -> float:
        """Throughput of the training steps alone: no evaluation, no drawing, no saving."""
        return self.session_steps * self.batch_size / self.training_seconds if self.training_seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimate from this session's pace, everything included; None before the first step."""
        if not self.session_steps:
            return None
        return (self.total_steps - self.step) * self.session_seconds / self.session_steps


class Observer(Protocol):
    """Someone who watches a run and may ask it to stop (``gazecourse.widgets.LiveCurve``)."""

    stop_requested: bool

    def begin(self, history: History, progress: Progress) -> None:
        """The run starts, or goes on after a stop."""

    def update(self, progress: Progress) -> None:
        """A step or an evaluation is done. Called thousands of times: return quickly."""

    def end(self, progress: Progress) -> None:
        """The run is over; ``progress.status`` says how."""


class Logbook:
    """Keeps the history and the checkpoint of a run in ``folder`` and decides when the run is over.

    In a run of several processes only the first writes and is observed; all agree on when to stop.

    Args:
        plan: what a resumed run must share with the one it continues, JSON values by name.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: nn.Module,
        optimizers: Sequence[Optimizer],
        batches: Batches,
        plan: dict,
        *,
        observer: Observer | None = None,
        folder: Path | str | None = None,
        record_every: int | None = None,
        save_every: int | None = None,
    ) -> None:
        self.fabric, self.model, self.optimizers, self.batches, self.plan = fabric, model, optimizers, batches, plan
        self.observer = observer if fabric.is_global_zero else None
        self.checkpoint_path = None if folder is None else Path(folder) / checkpoint.FILE_NAME
        self.history_path = None if folder is None else Path(folder) / FILE_NAME
        self.record_every = record_every or max(1, batches.total_steps // 1000)
        self.save_every = save_every or batches.steps_per_epoch
        self.progress = Progress(batches.total_steps, batches.steps_per_epoch, batches.batch_size)
        self.history = History()
        self._saved_step = 0
        self._evaluated_step = 0
        self._interrupted = threading.Event()
        self._session_began = self._step_began = time.perf_counter()

    @property
    def step(self) -> int:
        return self.progress.step

    # ---- start and resume

    def open(self, resume: bool) -> None:
        """Go on from the checkpoint if that is asked for and there is one; otherwise begin a new run.

        Raises:
            ValueError: there is no folder to resume from.
            CourseError: the checkpoint is damaged or belongs to another plan, or its history is gone.
        """
        if resume and self.checkpoint_path is None:
            raise ValueError("folder must be given to resume a run; got None.")
        if resume and self.checkpoint_path.is_file():
            self._resume()
        else:
            self._start()

    def _start(self) -> None:
        """Begin a new run; an earlier one in the same folder is given up."""
        if self.checkpoint_path is not None and self.fabric.is_global_zero:
            self.checkpoint_path.unlink(missing_ok=True)
        metadata = describe_run(
            self.fabric.device,
            plan=self.plan,
            model=type(self.model).__name__,
            parameters=sum(p.numel() for p in self.model.parameters()),
            optimizers=[type(optimizer).__name__ for optimizer in self.optimizers],
            processes=self.fabric.world_size,
            precision=str(getattr(self.fabric.strategy.precision, "precision", "unknown")),
        )
        self.history = History(self.history_path if self.fabric.is_global_zero else None, metadata)

    def _resume(self) -> None:
        """Restore everything; records that were made after the checkpoint are dropped and will be made again."""
        state = checkpoint.load_checkpoint(self.checkpoint_path, self.model, self.optimizers)
        changes = [
            f"{name}: {state['plan'].get(name)!r} then, {value!r} now"
            for name, value in self.plan.items()
            if state["plan"].get(name) != value
        ]
        if changes:
            raise CourseError(f"{self.checkpoint_path} belongs to a run with other settings ({'; '.join(changes)}).")
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.progress.step, self.progress.earlier_seconds = state["step"], state["seconds"]
        self._saved_step, self._evaluated_step = state["step"], state["evaluated_step"]
        self.history = self._resumed_history(state["records"])

    def _resumed_history(self, records: int) -> History:
        try:
            history = History.load(self.history_path)
            if not self.fabric.is_global_zero:
                history.path = None
            history.keep(records)
        except (FileNotFoundError, ValueError) as error:
            raise CourseError(f"The run cannot go on without its history: {error}") from error
        return history

    # ---- in the loop

    def evaluation_is_due(self) -> bool:
        """At the end of each epoch, once, also if the run was stopped right there and resumed."""
        return self.step % self.batches.steps_per_epoch == 0 and self.step > self._evaluated_step

    def record_evaluation(self, values: dict[str, float]) -> None:
        self._evaluated_step = self.step
        self._append("evaluation", **values)
        self._show()

    def checkpoint_is_due(self) -> bool:
        epoch_is_over = self.step % self.batches.steps_per_epoch == 0
        return self.step > self._saved_step and (epoch_is_over or self.step % self.save_every == 0)

    def save(self) -> None:
        """Write the checkpoint of this moment, in the place of the last one."""
        if self.checkpoint_path is None:
            return
        if self.fabric.is_global_zero:
            self._tick()
            state = {
                "plan": self.plan,
                "step": self.step,
                "evaluated_step": self._evaluated_step,
                "seconds": self.progress.seconds,
                "records": len(self.history.records),
                "precision": self.fabric.strategy.precision.state_dict(),
            }
            checkpoint.save_checkpoint(self.checkpoint_path, self.model, self.optimizers, state)
        self.fabric.barrier()
        self._saved_step = self.step

    def is_over(self) -> bool:
        """Whether the run is finished or someone, in any process, asked for its end; if so, it is saved."""
        if self.step == self.progress.total_steps:
            self.progress.status = "finished"
        elif self._any_process(self._interrupted.is_set()):
            self.progress.status = "interrupted"
        elif self._any_process(self.observer is not None and self.observer.stop_requested):
            self.progress.status = "stopped"
        if self.progress.status != "running" and self.step > self._saved_step:
            self.save()
        self._step_began = time.perf_counter()
        return self.progress.status != "running"

    def _any_process(self, decision: bool) -> bool:
        return bool(self.fabric.strategy.reduce_boolean_decision(decision, all=False))

    @contextmanager
    def naming_the_batch(self) -> Iterator[None]:
        """Around what is done with a batch: an error from there names step, batch and checkpoint in a note."""
        try:
            yield
        except Exception as error:
            error.add_note(f"This ended the run at step {self.step}. {self._batch_and_checkpoint()}")
            raise

    def require_finite(self, values: dict[str, float]) -> None:
        """Raise ``FloatingPointError`` that names step, loss, batch and checkpoint if any value is NaN or infinite."""
        bad = {name: value for name, value in values.items() if not math.isfinite(value)}
        if not bad:
            return
        losses = ", ".join(f"{name} = {value}" for name, value in bad.items())
        weights = next((n for n, p in self.model.named_parameters() if not p.isfinite().all()), None)
        cause = "" if weights is None else f" The weights {weights} are no longer finite: look at earlier gradients."
        raise FloatingPointError(
            f"The loss is not finite at step {self.step} (epoch {self.progress.epoch + 1}): {losses}.{cause} "
            f"{self._batch_and_checkpoint()}"
        )

    def _batch_and_checkpoint(self) -> str:
        samples = self.batches.indices(self.step).flatten().tolist()
        kept = f"that of step {self._saved_step}" if self._saved_step else "none yet"
        return f"The batch holds the samples {_shortened(samples)} of the data. Last good checkpoint: {kept}."

    def record_step(self, values: dict[str, float]) -> None:
        """Count the step that was just made; record its losses if it is one of those to record."""
        self.progress.training_seconds += time.perf_counter() - self._step_began
        self.progress.session_steps += 1
        self.progress.step += 1
        if self.step % self.record_every == 0 or self.step == self.progress.total_steps:
            rate = self.optimizers[0].param_groups[0]["lr"]
            speed = round(self.progress.images_per_second, 1)
            self._append("train", **values, learning_rate=rate, images_per_second=speed)
        self._show()

    def _append(self, kind: str, **values: float) -> None:
        self._tick()
        now = {"step": self.step, "epoch": self.progress.epoch, "seconds": round(self.progress.seconds, 3)}
        self.history.append(kind, **now, **values)

    def _tick(self) -> None:
        self.progress.session_seconds = time.perf_counter() - self._session_began

    def _show(self) -> None:
        self._tick()
        if self.observer is not None:
            self.observer.update(self.progress)

    # ---- the end

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Around the loop: however it ends, the history and the observer learn how."""
        self._session_began = time.perf_counter()
        if self.observer is not None:
            self.observer.begin(self.history, self.progress)
        try:
            with _first_interrupt_sets(self._interrupted):
                yield
        except KeyboardInterrupt:
            self.progress.status = "interrupted"
        except BaseException:
            self.progress.status = "failed"
            raise
        finally:
            self._append("end", status=self.progress.status)
            if self.observer is not None:
                self.observer.end(self.progress)


def _shortened(samples: list[int], limit: int = 8) -> str:
    shown = ", ".join(map(str, samples[:limit]))
    return shown if len(samples) <= limit else f"{shown}, … ({len(samples)} in all)"


@contextmanager
def _first_interrupt_sets(event: threading.Event) -> Iterator[None]:
    """Ctrl-C sets ``event`` instead of tearing an optimizer step in two; a second one interrupts at once.

    Python lets only the main thread do this; elsewhere the first Ctrl-C raises ``KeyboardInterrupt`` as usual.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def first(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
