"""Trained systems on disk: trained under a protocol, evaluated, asked for predictions, and put into a table.

Systems for gaze and for landmarks are treated alike here; see ``trainable.Trainable``.

A run is a folder with ``run.json`` (what was trained, on what and how), a folder for each part of the training with its
history and checkpoint, and ``on-<set>.json`` for each set that it was evaluated on. A run that was cut off goes on.
"""

from __future__ import annotations

import csv
import json
import os
from collections import ChainMap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gazecourse import landmark_systems, profiles, protocols, systems
from gazecourse.alignment import Scale
from gazecourse.batches import fetch
from gazecourse.comparison import Size, fit
from gazecourse.cross_domain import continued
from gazecourse.errors import CourseError
from gazecourse.files import atomic_write
from gazecourse.history import describe_run
from gazecourse.landmark_systems import LANDMARK_SYSTEMS, network_of
from gazecourse.logbook import Observer
from gazecourse.metrics import student_ci
from gazecourse.paths import runs_dir
from gazecourse.processes import available_cores
from gazecourse.systems import SYSTEMS, with_imagenet
from gazecourse.trainable import Trainable
from gazecourse.training import make_fabric
from gazecourse.validation import check_choice, check_whole

SETTINGS = "run.json"
ALL: ChainMap[str, Trainable] = ChainMap(LANDMARK_SYSTEMS, SYSTEMS)  # whose names come from the last one on
"""What can be trained."""
PUBLISHED = {**systems.PAPERS, **landmark_systems.PAPERS}
"""What papers report, as printed, by system and (source, target)."""
MOST_WORKERS = 8
"""Processes that load images of a real set."""


@dataclass(frozen=True)
class Settings:
    """What identifies a run.

    Attributes:
        system: name in ``ALL``. source: what it was trained on. preset: name of one of its presets.
        profile: "quick" or "full". seed: of everything random. fold: of the protocol; "" for all training faces.
        epochs: instead of the preset's, in each part; None keeps them.
    """

    system: str
    source: str
    preset: str
    profile: str
    seed: int
    fold: str = ""
    epochs: int | None = None

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        parts = [self.system, self.source, self.preset, self.profile, f"seed{self.seed}"]
        parts += [self.fold] if self.fold else []
        parts += [f"{self.epochs}epochs"] if self.epochs else []
        return runs_dir() / "systems" / "-".join(parts)


def train(
    system: str,
    source: str,
    targets: Sequence[str] = (),
    *,
    preset: str = "course",
    seed: int = 0,
    epochs: int | None = None,
    parts: Iterable[str] | None = None,
    precision: str = "auto",
    workers: int | None = None,
    observer: Observer | None = None,
) -> list[Path]:
    """Train a system on one set and evaluate it on others; on the same set, by its own protocol.

    What is there already is not trained again.

    Args:
        system, preset: names in ``ALL`` and of one of its presets.
        source, targets: sets, as in the system's ``faces``.
        seed: of initial weights, data order and augmentation.
        epochs: instead of the preset's, in each of its parts.
        parts: names of the folds to train, where the protocol has several; None for all.
        precision: Fabric's name of it. workers: processes that load images; default one per core, for real sets.
        observer: is shown the progress.
    Returns:
        The folders of the runs.
    Raises:
        ValueError, FileNotFoundError, CourseError: a name is unknown, a set is not prepared, or lacks what is needed.
    """
    chosen = ALL[check_choice("system", system, tuple(ALL))]
    chosen.preset(preset)
    check_whole("seed", seed, 0)
    if epochs is not None:
        check_whole("epochs", epochs, 1)
    plan = _only(_plan(chosen, source, targets), parts)
    folders = []
    for fold, tested in plan:
        settings = Settings(system, source, preset, profiles.profile(), seed, fold.name, epochs)
        count = workers if workers is not None else min(available_cores(), MOST_WORKERS)
        _trained(settings, fold, precision, count if protocols.is_real(source) else 0, observer)
        for target in tested:
            evaluate(settings.folder, target, None if target != source else fold.test())
        folders.append(settings.folder)
    return folders


def _plan(system: Trainable, source: str, targets: Sequence[str]) -> list[tuple[protocols.Fold, list[str]]]:
    """The trainings, and on which sets each is tested."""
    size = system.size(source)
    within = [target for target in targets if target == source]
    others = [target for target in targets if target != source]
    plan: dict[str, tuple[protocols.Fold, list[str]]] = {}
    for target in within:  # first: a fold that serves other targets too must know the test faces of its own set
        for fold in system.folds(source, target, size):
            plan.setdefault(fold.name, (fold, []))[1].append(target)
    for target in others or ([] if within else [None]):
        fold = system.folds(source, target, size)[0]
        plan.setdefault(fold.name, (fold, []))[1].extend([target] if target else [])
    return list(plan.values())


def _only(plan: list, parts: Iterable[str] | None) -> list:
    if parts is None:
        return plan
    known = {fold.name: (fold, tested) for fold, tested in plan}
    if list(known) == [""]:
        raise ValueError("parts can be chosen only where a protocol has several; this one has one.")
    return [known[check_choice("parts", name, tuple(known))] for name in parts]


def _trained(settings: Settings, fold: protocols.Fold, precision: str, workers: int, observer: Observer | None) -> None:
    """Train one network, part by part; whatever is finished is loaded."""
    system = ALL[settings.system]
    preset = system.preset(settings.preset)
    size = system.size(settings.source)
    data = fold.train()
    system.check(fetch(data, [0]), settings.source)
    learning = system.learning(data, size, seed=settings.seed, folder=settings.folder, precision=precision)
    model: nn.Module | None = None
    for number, part in enumerate(preset.parts(), 1):
        faces, method = learning(part)
        if model is not None:
            method = continued(method, model)
        elif preset.imagenet:
            method = with_imagenet(method)
        recipe = part.recipe if settings.epochs is None else replace(part.recipe, epochs=settings.epochs)
        model, history = fit(
            method,
            faces,
            recipe,
            size=size,
            seed=settings.seed,
            schedule=part.schedule,
            observer=observer,
            folder=settings.folder / f"part{number}",
            resume=True,
            workers=workers,
            fabric=make_fabric(precision=precision, several_optimizers=True),
        )
        if history.status != "finished":
            raise KeyboardInterrupt
    system.keep(model, settings.folder)
    described = describe_run(next(model.parameters()).device, **asdict(settings), size=asdict(size), parts=number)
    _write(settings.folder / SETTINGS, {**described, "images": len(data)})


def _write(path: Path, content: dict) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_run(folder: Path) -> dict:
    """What a run's ``run.json`` says.

    Raises:
        FileNotFoundError, CourseError: it is no run, its training was not finished, or the file is damaged.
    """
    try:
        run = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        if not isinstance(run, dict) or not isinstance(run.get("system"), str):
            raise ValueError("it names no system")
        return run
    except FileNotFoundError as error:
        begun = "is not finished: the same train command goes on with it" if folder.is_dir() else "is not there"
        raise FileNotFoundError(f"The run {folder} {begun}. {_known_runs()}") from error
    except ValueError as error:
        raise CourseError(f"{folder / SETTINGS} is damaged; the same train command writes it again.") from error


def system_of(folder: Path) -> str:
    """The name of a run's system.

    Raises:
        FileNotFoundError, CourseError: see ``read_run``; or the course has no such system.
    """
    name = read_run(folder)["system"]
    if name not in ALL:
        raise CourseError(f"{folder.name} is a run of {name}, a system that this version of the course does not have.")
    return name


def _known_runs() -> str:
    names = sorted(path.parent.name for path in (runs_dir() / "systems").glob(f"*/{SETTINGS}"))
    return f"Runs: {', '.join(names)}." if names else "There are no runs yet: python -m gazecourse train --help."


def find_run(name: str) -> Path:
    """The folder of a run, given by its path or by its name alone."""
    path = Path(name).expanduser()
    return path if path.is_dir() else runs_dir() / "systems" / name


def latest() -> Path:
    """The folder of the gaze system's run that was finished last.

    Raises:
        CourseError: there is none.
    """
    done = [path for path in (runs_dir() / "systems").glob(f"*/{SETTINGS}") if _is_for_gaze(path.parent)]
    if not done:
        raise CourseError("There is no trained gaze system yet: python -m gazecourse train resnet --source rendered")
    return max(done, key=lambda path: path.stat().st_mtime).parent


def landmark_file(name: str) -> Path:
    """The network of a landmark system's run, given by the run's folder or name; a file's path stays as it is.

    Raises:
        FileNotFoundError, CourseError: there is no such run, or it is a gaze system's, is not finished, or lacks its
            network; or the path is that of another kind of file.
    """
    path = Path(name).expanduser()
    if path.is_file() and path.suffix != ".safetensors":
        raise CourseError(f"{path} is no landmark network: their files end in .safetensors.")
    if path.suffix == ".safetensors" and not path.is_dir():
        return path
    folder = find_run(name)
    if system_of(folder) not in LANDMARK_SYSTEMS:
        raise CourseError(f"{folder.name} finds gaze, not landmarks: --landmarks takes a landmark system's run.")
    return network_of(folder)


def _is_for_gaze(folder: Path) -> bool:
    """Whether a run is a gaze system's; a damaged one, which must not keep others from being found, is none."""
    try:
        return read_run(folder).get("system") in SYSTEMS
    except CourseError:
        return False


def load(folder: Path) -> tuple[Trainable, nn.Module, Size | Scale]:
    """A run's system, its network with the trained weights, and the network's size.

    The profile of the run becomes the one in use: it decides what the network sees of a face.

    Raises:
        FileNotFoundError, CourseError: see ``read_run``; or the checkpoint is missing or damaged.
    """
    system, run = ALL[system_of(folder)], read_run(folder)
    os.environ[profiles.VARIABLE] = run["profile"]
    model, size = system.load(folder, run)
    return system, model.eval(), size


def outputs(folder: Path, name: str, data: Dataset | None = None) -> tuple[Tensor, Dataset]:
    """What a run's network estimates for the test faces of a set, and these faces.

    Args:
        data: other faces than the set's test faces.
    Returns:
        Gaze [N, 2] (pitch, yaw), radians, or landmarks [N, P, 2] in pixels of the faces' images.
    Raises:
        ValueError, FileNotFoundError, CourseError: see ``load`` and the system's ``faces``.
    """
    system, model, size = load(folder)
    data = system.faces(name, "test", size) if data is None else data
    system.check(fetch(data, [0]), name)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    return system.estimates(model, data, size), data


def evaluate(folder: Path, name: str, data: Dataset | None = None) -> dict:
    """Error of a run on the test faces of a set; kept beside the run, and not measured again.

    Returns:
        "error", "low", "high": mean gaze error in degrees, or NME in percent, with its 95 % interval over people;
        "images", "people"; and what else the system's ``score`` tells.
    Raises:
        ValueError, FileNotFoundError, CourseError: see ``outputs``; or the set's labels are not known.
    """
    path = folder / f"on-{name}.json"
    kept = _read_result(path)
    if kept is not None:
        return kept
    system = ALL[system_of(folder)]
    system.check_test(name)
    found = system.score(*outputs(folder, name, data))
    _write(path, found)
    return found


def _read_result(path: Path) -> dict | None:
    """What ``evaluate`` wrote; None where there is no such file, or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and {"error", "people"} <= found.keys() else None


def write_predictions(folder: Path, name: str, path: Path) -> int:
    """Write the estimates of a run for the test faces of a set to a CSV file; returns the number of rows.

    Columns: image; person, where it is known who is who; and those of the system's ``columns``.
    """
    estimated, faces = outputs(folder, name)
    person = {"person": faces.person.tolist()} if getattr(faces, "knows_people", True) else {}
    known = ALL[read_run(folder)["system"]].columns(estimated, faces)
    columns = {"image": range(len(faces)), **person, **known}
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([list(columns), *zip(*columns.values(), strict=True)])
    return len(faces)


# --- tables -------------------------------------------------------------------------------------


def results() -> dict[tuple[str, str, str], dict[str, list[float]]]:
    """Mean errors by (system, source, target) and way of training: one for each seed, over all folds.

    Raises:
        CourseError: a file is damaged.
    """
    by_seed: dict[tuple, list[dict]] = {}
    for path in sorted((runs_dir() / "systems").glob("*/on-*.json")):
        run, found, tested = read_run(path.parent), _read_result(path), path.stem.removeprefix("on-")
        if found is None:
            again = f"python -m gazecourse evaluate {path.parent.name} --on {tested}"
            raise CourseError(f"{path} is damaged; this writes it again: {again}")
        key = (run["system"], run["source"], tested)
        by_seed.setdefault((key, _way(run), run["seed"]), []).append(found)
    errors: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for (key, way, _), found in by_seed.items():
        weights = [each["people"] or each["images"] for each in found]  # nobody knows who is who in some sets
        mean = sum(each["error"] * weight for each, weight in zip(found, weights, strict=True)) / sum(weights)
        errors.setdefault(key, {}).setdefault(way, []).append(mean)
    return errors


def _way(run: dict) -> str:
    """How a run was trained; runs of different ways have no common mean."""
    epochs = f", {run['epochs']} epochs" if run.get("epochs") else ""
    return f"{run['preset']}, {run['profile']}{epochs}"


def table() -> str:
    """All results as text: gaze and landmarks, rendered and real sets apart, beside the latter the papers' numbers."""
    found = results()
    if not found:
        return f"Nothing has been evaluated yet. {_known_runs()}"
    blocks = []
    for title, real in (("Rendered domains", False), ("Real data, beside the papers' numbers", True)):
        for kind in (SYSTEMS, LANDMARK_SYSTEMS):
            tasks = list(dict.fromkeys((source, target) for system, source, target in found if system in kind))
            own = [task for task in tasks if all(map(protocols.is_real, task)) == real]
            if own:
                blocks.append(_block(title, kind, own, found))
    return "\n\n".join(blocks)


def _block(title: str, kind: dict[str, Trainable], tasks: list[tuple[str, str]], found: dict) -> str:
    lines = [f"{title} ({next(iter(kind.values())).measure}, mean over runs)"]
    for source, target in tasks:
        lines.append(f"\n  {source} → {target}")
        for name, system in kind.items():
            paper = published(name, source, target)
            beside = "" if paper is None else f"   paper {paper:>5}"
            own = found.get((name, source, target), {"": []} if paper else {})
            for way, errors in own.items():
                lines.append(f"    {system.title:32} {way:30} {_cell(errors):24}{beside}".rstrip())
    return "\n".join(lines)


def published(system: str, source: str, target: str) -> str | None:
    """What a paper reports of a system for a task, as printed there."""
    return PUBLISHED.get(system, {}).get((protocols.base(source), protocols.base(target)))


def _cell(errors: list[float]) -> str:
    if not errors:
        return "–"
    if len(errors) == 1:
        return f"{errors[0]:.2f}"
    return f"{student_ci(torch.tensor(errors))} ({len(errors)} runs)"
