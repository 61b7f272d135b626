"""What a training run records: one JSON object a line, on disk the moment it is known."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import warnings
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from gazecourse.errors import CourseError
from gazecourse.files import atomic_write
from gazecourse.validation import describe

Value = float | int | str | bool
FILE_NAME = "history.jsonl"
_PACKAGES = ("torch", "torchvision", "numpy", "lightning-fabric", "safetensors")
_BOOKKEEPING = ("kind", "step", "epoch", "seconds")


class History:
    """The records of one run, in memory and, where a path is given, in a JSONL file.

    The file's first line holds the metadata, every other line one record: ``kind`` ("train", "evaluation" or
    "end"), ``step`` (optimizer steps done), ``epoch``, ``seconds`` since the start, and the values. Each line is
    flushed when it is appended, so a run that dies keeps what it had.

    Args:
        path: file to write, replacing what was there; None keeps the history in memory only.
        metadata: what identifies the run (see ``describe_run``); JSON values only.
    Attributes:
        metadata: as given.
        records: list of dicts, oldest first.
    """

    def __init__(self, path: Path | str | None = None, metadata: dict | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.metadata = dict(metadata or {})
        self.records: list[dict[str, Value]] = []
        self._rewrite()

    def append(self, kind: str, **values: Value) -> dict[str, Value]:
        """Add one record and put it on disk. Returns the record.

        Raises:
            TypeError: a value is not a number, string or bool (a tensor needs ``.item()``).
            ValueError: a value is NaN or infinite.
            CourseError: the disk is full.
        """
        for name, value in values.items():
            if not isinstance(value, (int, float, str)):
                raise TypeError(f"{name} must be a number, string or bool; got {describe(value)}.")
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} must be finite; got {value}.")
        record = {"kind": kind, **values}
        self.records.append(record)
        if self.path is not None:
            try:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
            except OSError as error:
                raise CourseError(f"{self.path} could not be written: {error.strerror}.") from error
        return record

    def keep(self, count: int) -> None:
        """Forget all but the first ``count`` records, on disk too: what came after a checkpoint is done again.

        Raises:
            ValueError: there are fewer than ``count`` records.
        """
        if not 0 <= count <= len(self.records):
            raise ValueError(f"count must lie in 0 to {len(self.records)}, the records there are; got {count}.")
        self.records = self.records[:count]
        self._rewrite()

    def of_kind(self, kind: str) -> list[dict[str, Value]]:
        """The records of one kind, oldest first."""
        return [record for record in self.records if record["kind"] == kind]

    def names(self, kind: str | None = None) -> list[str]:
        """Names of all recorded numbers (of one kind of record), in order of first appearance."""
        found: dict[str, None] = {}
        for record in self.records:
            if kind is None or record["kind"] == kind:
                numbers = (n for n, v in record.items() if isinstance(v, (int, float)) and n not in _BOOKKEEPING)
                found.update(dict.fromkeys(numbers))
        return list(found)

    def curve(self, name: str, kind: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Steps [N] and values [N] of one recorded number (in one kind of record), float64.

        Raises:
            ValueError: nothing of that name was recorded; the message lists the names.
        """
        records = self.records if kind is None else self.of_kind(kind)
        points = [(record["step"], record[name]) for record in records if name in record and "step" in record]
        if not points:
            known = ", ".join(self.names(kind)) or "(nothing recorded)"
            raise ValueError(f"name must be one of {known}; got {name!r}.")
        steps, values = zip(*points, strict=True)
        return np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)

    @property
    def status(self) -> str:
        """ "finished", "stopped", "interrupted" or "failed"; "running" while there is no end record."""
        return str(self.records[-1]["status"]) if self.records and self.records[-1]["kind"] == "end" else "running"

    def _rewrite(self) -> None:
        if self.path is not None:
            lines = [{"kind": "metadata", **self.metadata}, *self.records]
            with atomic_write(self.path) as temporary:
                temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str) -> History:
        """Read a history. A last line that was cut off in writing is left out, with a warning; the file stays as it is.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line other than the last is no JSON object, or the first holds no metadata.
        """
        path = Path(path)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        parsed = [_parse(line) for line in lines]
        if parsed and parsed[-1] is None:
            warnings.warn(f"{path}: the last line is half-written (the run was cut off) and is left out.", stacklevel=2)
            parsed.pop()
        if None in parsed:
            raise ValueError(
                f"{path}: line {parsed.index(None) + 1} is not a record: {lines[parsed.index(None)]!r:.80}."
            )
        if not parsed or parsed[0].pop("kind") != "metadata":
            raise ValueError(f"{path} is not a training history: its first line holds no metadata.")
        history = cls(metadata=parsed[0])
        history.path, history.records = path, parsed[1:]
        return history


def _parse(line: str) -> dict | None:
    """The record in one line of a history; None where the line holds none."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and "kind" in record else None


def load_runs(folder: Path | str) -> dict[str, History]:
    """All histories below a folder, by the name of the folder that holds each (relative to ``folder``), sorted.

    A history that cannot be read is left out with a warning that says why.
    """
    folder = Path(folder)
    runs: dict[str, History] = {}
    for path in sorted(folder.rglob(FILE_NAME)):
        name = path.parent.relative_to(folder).as_posix()
        try:
            runs[name if name != "." else folder.name] = History.load(path)
        except ValueError as error:
            warnings.warn(str(error), stacklevel=2)
    return runs


def smooth(values: Sequence[float] | np.ndarray, weight: float) -> np.ndarray:
    r"""Exponential moving average without the pull towards zero at the start.

        s_t = (1 − w) Σ_k w^k v_{t−k} / (1 − w^{t+1})

    Args:
        values: [N] numbers.
        weight: w in [0, 1); 0 leaves the values as they are.
    Returns:
        float64 [N].
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight must lie in [0, 1); got {weight!r}.")
    smoothed, average = np.empty(len(values)), 0.0
    for index, value in enumerate(values):
        average = weight * average + (1 - weight) * float(value)
        smoothed[index] = average / (1 - weight ** (index + 1))
    return smoothed


def describe_run(device: torch.device | str = "cpu", **extra: object) -> dict:
    """Metadata of a run: the command, the hardware, the versions, the time (UTC), and whatever the caller adds."""
    return {
        **extra,
        "command": _command(),
        "hardware": _hardware(torch.device(device)),
        "versions": {"python": platform.python_version(), **_versions(_PACKAGES)},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _command() -> str:
    """What was typed; in a notebook the kernel's own command line says nothing."""
    return "notebook" if "ipykernel" in sys.modules else " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _hardware(device: torch.device) -> dict[str, Value]:
    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}
    return {
        "device": device.type,
        **gpu,
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """The processor as its maker calls it, where the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
