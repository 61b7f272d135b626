"""What the benchmarks of the cross-domain tasks share: networks that are trained once and kept, and tables of them."""

from __future__ import annotations

import argparse
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch
from report import by_seed
from torch import Tensor, nn
from torch.utils.data import Dataset

from gazecourse.checkpoint import load_checkpoint, save_checkpoint
from gazecourse.comparison import Method, Recipe, Size, fit, size_of_profile
from gazecourse.cross_domain import (
    SOURCES,
    TARGETS,
    continued,
    few_faces,
    fine_tuning,
    first_part,
    second_part,
    source_faces,
    source_set,
    test_faces,
)
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.rendering import render
from gazecourse.files import atomic_write
from gazecourse.metrics import gaze_error
from gazecourse.profiles import profile
from gazecourse.sample import Sample
from gazecourse.training import make_fabric, predict

Measured = dict[str, float]
Rows = dict[str, Measured]
"""What comes from one first part, by the name of the way it went on."""

Start = TypeVar("Start")
Plan = TypeVar("Plan")


class Kept(ABC):
    """The networks of one first part, and what is measured of them: each made when first asked for, then kept.

    Args:
        folder: where they are kept.
        source: domain that they learn from. seed: of everything random.
        forward: gaze [B, 2] of a batch, by any of the networks.
        precision: Fabric's name of it.
    """

    def __init__(
        self, folder: Path, source: str, seed: int, forward: Callable[[nn.Module, Sample], Tensor], precision: str
    ) -> None:
        self.folder, self.source, self.seed, self.forward, self.precision = folder, source, seed, forward, precision

    @property
    def size(self) -> Size:
        """Of the networks."""
        return size_of_profile()

    @cached_property
    def faces(self) -> FaceDataset:
        """What the networks learn from; not loaded where all of them are kept."""
        return source_faces(self.source)

    @cached_property
    def home(self) -> FaceDataset:
        """People of the same domain whom they have not seen."""
        return test_faces(self.source)

    def kept(self, name: str, build: Callable[[Size], nn.Module], learn: Callable[[], nn.Module]) -> nn.Module:
        """The network of that name, in evaluation mode.

        Args:
            build: makes one of the same shape. learn: trains it where none is kept.
        """
        path = self.folder / f"{name}.safetensors"
        if path.exists():
            model = build(self.size)
            load_checkpoint(path, model)
            return model.eval()
        began = time.perf_counter()
        model = learn()
        save_checkpoint(path, model)
        print(f"{self.folder.name} {name}: {time.perf_counter() - began:.0f} s", flush=True)
        return model

    def learned(
        self, method: Method, recipe: Recipe, start: nn.Module | None = None, data: Dataset | None = None
    ) -> nn.Module:
        """A network of one method, trained on ``data`` (default: the source's faces), from ``start`` or anew."""
        if start is not None:
            method = continued(method, start)
        fabric = make_fabric(precision=self.precision, several_optimizers=True)
        model, _ = fit(method, data or self.faces, recipe, size=self.size, seed=self.seed, fabric=fabric)
        return model

    @abstractmethod
    def gaze_method(self) -> Method:
        """How these networks learn with the gaze loss alone."""

    def fine_tuned(self, name: str, model: Callable[[], nn.Module], target: str) -> nn.Module:
        """A network of the second part, taught with a few labeled target faces."""
        method = self.gaze_method()

        def learn() -> nn.Module:
            return self.learned(method, fine_tuning(), model(), few_faces(target, self.seed))

        return self.kept(f"{name}-tuned-{target}", method.build, learn)

    def tuned_errors(self, name: str, model: Callable[[], nn.Module]) -> Measured:
        """Errors in each target domain of the network that was taught with a few of its faces."""
        found: Measured = {}
        for target in TARGETS:
            found |= self.errors(f"{name}-tuned-{target}", partial(self.fine_tuned, name, model, target), (target,))
        return found

    def errors(self, name: str, model: Callable[[], nn.Module], domains: Sequence[str]) -> Measured:
        """Mean gaze error in each domain and at "home", degrees."""

        def measure() -> Measured:
            found, network = {}, model()
            for domain in domains:
                faces = self.home if domain == "home" else test_faces(domain)
                found[domain] = gaze_error(predict(network, faces, self.forward), faces.gaze)
            return found

        return self.measured(f"errors-{name}", measure)

    def measured(self, name: str, measure: Callable[[], Measured]) -> Measured:
        """What was measured under that name; ``measure`` does it where it is not kept."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            found = measure()
            with atomic_write(path) as temporary:
                temporary.write_text(json.dumps(found))
        return json.loads(path.read_text())


# --- work -----------------------------------------------------------------------------------------


def common_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Options of benchmarks that train; ``name`` is that of the results."""
    parser.add_argument("--ablation-seeds", type=int, default=3, help="so many seeds also train the ablations")
    parser.add_argument("--processes", type=int, default=1, help="trainings side by side, on a CPU")
    options_of_networks(parser, name)


def options_of_networks(parser: argparse.ArgumentParser, name: str) -> None:
    """Options that say which networks are meant; ``name`` is that of the results."""
    add = parser.add_argument
    add("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    add("--profile", choices=("quick", "full"), help="sizes; default GAZECOURSE_PROFILE, or quick")
    add("--precision", default="auto", help="Fabric's name of it, such as bf16-mixed")
    add("--longer", type=int, default=1, metavar="N", help="N times the profile's epochs, in both parts")
    add("--into", default=name, metavar="NAME", help="write results/NAME.json")


@dataclass(frozen=True, kw_only=True)
class TwoParts:
    """How long a training's two parts are.

    Attributes:
        longer: so many times the profile's epochs.
    """

    longer: int = 1

    @property
    def first_part(self) -> Recipe:
        """How a network learns gaze."""
        return replace(first_part(), epochs=self.longer * first_part().epochs)

    @property
    def second_part(self) -> Recipe:
        """How it goes on."""
        return replace(second_part(), epochs=self.longer * second_part().epochs)

    def shared_settings(self) -> dict[str, Any]:
        """What trainings of all these benchmarks depend on, besides their code, as JSON values."""
        return {
            "profile": profile(),
            "size": asdict(size_of_profile()),
            "first_part": asdict(self.first_part),
            "second_part": asdict(self.second_part),
            "fine_tuning": asdict(fine_tuning()),
            "sources": {s: source_set(s).parameters for s in SOURCES},
        }


def use_profile(name: str | None) -> None:
    """The profile in this process and in those that it starts."""
    if name:
        os.environ["GAZECOURSE_PROFILE"] = name


def all_rows(
    rows_of: Callable[[Start, Plan], Rows], starts: Sequence[Start], plan: Plan, processes: int
) -> dict[Start, Rows]:
    """``rows_of`` every start, in order, in so many processes of one thread each (a single one has all threads)."""
    render([source_set(domain) for domain in SOURCES])  # here, not in every process
    work = partial(_one_start, rows_of, plan, None if processes == 1 else 1)
    if processes == 1:
        found = dict(map(work, starts))
    else:
        with get_context("spawn").Pool(processes, maxtasksperchild=1) as pool:
            found = dict(pool.imap_unordered(work, starts))
    return {start: found[start] for start in starts}


def _one_start(
    rows_of: Callable[[Start, Plan], Rows], plan: Plan, threads: int | None, start: Start
) -> tuple[Start, Rows]:
    if threads:
        torch.set_num_threads(threads)
    return start, rows_of(start, plan)


# --- tables -------------------------------------------------------------------------------------


def column(runs: list[Rows], row: str, minus: str | None = None) -> dict:
    """What was measured of a row, in the runs that have it, or its difference to another row of the same run."""
    values: dict[str, list[float]] = {}
    for run in runs:
        other = run.get(row, {}) if minus is None else run.get(minus, {})
        for name, value in run.get(row, {}).items():
            if name in other:
                values.setdefault(name, []).append(value - (0.0 if minus is None else other[name]))
    return {name: by_seed(found) for name, found in values.items()}


def table(runs: Mapping[str, list[Rows]], compared_with: Callable[[str], Sequence[str]]) -> dict[str, Any]:
    """Row → source → what was measured, then the differences of rows, as "row − other".

    Args:
        runs: of each source. compared_with: the other rows that a row is compared with; those that are not there are
            left out.
    """
    names = list(dict.fromkeys(name for found in runs.values() for rows in found for name in rows))
    result = {name: {source: column(found, name) for source, found in runs.items()} for name in names}
    for name in names:
        for other in compared_with(name):
            if other != name and other in names:
                difference = {source: column(found, name, other) for source, found in runs.items()}
                result[f"{name} − {other}"] = difference
    return result


def print_errors(rows: Mapping[str, dict], label: str = "") -> None:
    """The mean errors of a table, one line a row."""
    for row, by_source in rows.items():
        errors = [f"{s} → {d} {c['mean'][0]:+6.2f}" for s, m in by_source.items() for d, c in m.items() if " " not in d]
        print(f"{label}{row:34}", *errors)


def priors() -> dict[str, float]:
    """Error of the head pose taken as gaze, degrees."""
    faces = {domain: test_faces(domain) for domain in (*TARGETS, *SOURCES)}
    return {domain: round(gaze_error(data.head, data.gaze), 3) for domain, data in faces.items()}
