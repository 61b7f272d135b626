"""Trained systems on disk: trained under a protocol, evaluated, asked for predictions, and put into a table.

A run is a folder with ``run.json`` (what was trained, on what and how), a folder for each part of the training with its
history and checkpoint, and ``on-<set>.json`` for each set that it was evaluated on. A run that was cut off goes on.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gazecourse import profiles, protocols
from gazecourse.angles import angular_error
from gazecourse.batches import fetch
from gazecourse.checkpoint import FILE_NAME, load_checkpoint
from gazecourse.comparison import Size, fit, size_of_profile
from gazecourse.cross_domain import continued
from gazecourse.errors import CourseError
from gazecourse.files import atomic_write
from gazecourse.history import describe_run
from gazecourse.logbook import Observer
from gazecourse.metrics import bootstrap_ci, student_ci
from gazecourse.paths import runs_dir
from gazecourse.processes import available_cores
from gazecourse.systems import SYSTEMS, System, preset_for, with_imagenet
from gazecourse.training import make_fabric, predict
from gazecourse.validation import check_choice, check_whole

SETTINGS = "run.json"
MOST_WORKERS = 8
"""Processes that load images of a real set."""

PAPERS: dict[str, dict[tuple[str, str], float]] = {
    "full_face": dict(zip(protocols.CROSS, (12.35, 30.15, 11.13, 14.42), strict=True)),
    "rt_gene": dict(zip(protocols.CROSS[2:], (21.81, 38.60), strict=True)),
    "dilated_net": dict(zip(protocols.CROSS[2:], (18.45, 23.88), strict=True)),
    "ca_net": dict(zip(protocols.CROSS[2:], (27.13, 31.41), strict=True)),
    "resnet": dict(zip(protocols.CROSS, (8.13, 7.74, 9.89, 11.42), strict=True)),
    "puregaze": dict(zip(protocols.CROSS, (7.08, 7.48, 9.28, 9.32), strict=True)),
    "clip_gaze": dict(zip(protocols.CROSS, (6.41, 7.51, 6.89, 7.06), strict=True)),
}
"""Gaze errors in degrees by system and (source, target): of Cheng et al. 2022, table 1, and of Yin et al. 2024 for
CLIP-Gaze, as later papers quote it."""
SURVEY = {
    "full_face": {"mpiifacegaze": 4.93, "eyediap": 6.53, "gaze360": 14.99},
    "rt_gene": {"mpiifacegaze": 4.66, "eyediap": 6.02, "gaze360": 12.26},
    "dilated_net": {"mpiifacegaze": 4.42, "eyediap": 6.19, "gaze360": 13.73},
    "ca_net": {"mpiifacegaze": 4.27, "eyediap": 5.27, "gaze360": 11.20},
}
"""Gaze errors within one data set, by its own protocol (Cheng et al.'s survey, GazeHub)."""


@dataclass(frozen=True)
class Settings:
    """What identifies a run.

    Attributes:
        system: name in ``SYSTEMS``. source: what it was trained on. preset: name in ``PRESETS``.
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
        system, preset: names in ``SYSTEMS`` and ``PRESETS``.
        source, targets: sets, as in ``protocols.faces``.
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
    check_choice("system", system, tuple(SYSTEMS))
    preset_for(preset, SYSTEMS[system])
    check_whole("seed", seed, 0)
    if epochs is not None:
        check_whole("epochs", epochs, 1)
    size = size_of_profile()
    plan = _plan(source, targets, size.face)
    plan = _only(plan, parts)
    folders = []
    for fold, tested in plan:
        settings = Settings(system, source, preset, profiles.profile(), seed, fold.name, epochs)
        count = workers if workers is not None else min(available_cores(), MOST_WORKERS)
        _trained(settings, fold, precision, count if protocols.is_real(source) else 0, observer)
        for target in tested:
            evaluate(settings.folder, target, None if target != source else fold.test())
        folders.append(settings.folder)
    return folders


def _plan(source: str, targets: Sequence[str], size: int) -> list[tuple[protocols.Fold, list[str]]]:
    """The trainings, and on which sets each is tested."""
    within = [target for target in targets if target == source]
    others = [target for target in targets if target != source]
    plan: dict[str, tuple[protocols.Fold, list[str]]] = {}
    for target in within:  # first: a fold that serves other targets too must know the test faces of its own set
        for fold in protocols.folds(source, target, size):
            plan.setdefault(fold.name, (fold, []))[1].append(target)
    for target in others or ([] if within else [None]):
        fold = protocols.folds(source, target, size)[0] if target else protocols.training(source, size)
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
    system = SYSTEMS[settings.system]
    preset = preset_for(settings.preset, system)
    size = size_of_profile()
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
        return json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        begun = "is not finished: the same train command goes on with it" if folder.is_dir() else "is not there"
        raise FileNotFoundError(f"The run {folder} {begun}. {_known_runs()}") from error
    except ValueError as error:
        raise CourseError(f"{folder / SETTINGS} is damaged; the same train command writes it again.") from error


def _known_runs() -> str:
    names = sorted(path.parent.name for path in (runs_dir() / "systems").glob(f"*/{SETTINGS}"))
    return f"Runs: {', '.join(names)}." if names else "There are no runs yet: python -m gazecourse train --help."


def find_run(name: str) -> Path:
    """The folder of a run, given by its path or by its name alone."""
    path = Path(name).expanduser()
    return path if path.is_dir() else runs_dir() / "systems" / name


def latest() -> Path:
    """The folder of the run that was finished last.

    Raises:
        CourseError: there is none.
    """
    done = list((runs_dir() / "systems").glob(f"*/{SETTINGS}"))
    if not done:
        raise CourseError(
            "There is no trained system yet: python -m gazecourse train puregaze --source studio --target laptop"
        )
    return max(done, key=lambda path: path.stat().st_mtime).parent


def load(folder: Path) -> tuple[System, nn.Module, Size]:
    """A run's system, its network with the trained weights, and the network's size.

    The profile of the run becomes the one in use: it decides what the network sees of a face.

    Raises:
        FileNotFoundError, CourseError: see ``read_run``; or the checkpoint is missing or damaged.
    """
    run = read_run(folder)
    os.environ[profiles.VARIABLE] = run["profile"]
    system, size = SYSTEMS[run["system"]], Size(**run["size"])
    model = system.method(size, None).build(size)
    load_checkpoint(folder / f"part{run['parts']}" / FILE_NAME, model)
    return system, model.eval(), size


def outputs(folder: Path, name: str, data: Dataset | None = None) -> tuple[Tensor, Dataset]:
    """Gaze [N, 2] that a run's network estimates for the test faces of a set, and these faces.

    Args:
        data: other faces than the set's test faces.
    Raises:
        ValueError, FileNotFoundError, CourseError: see ``load`` and ``protocols.faces``.
    """
    system, model, size = load(folder)
    data = protocols.faces(name, "test", size.face) if data is None else data
    system.check(fetch(data, [0]), name)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    return predict(model, data, system.method(size, None).forward), data


def evaluate(folder: Path, name: str, data: Dataset | None = None) -> dict:
    """Gaze error of a run on the test faces of a set; kept beside the run, and not measured again.

    Returns:
        "error", "low", "high": mean angle in degrees with its 95 % interval over people; "images", "people".
    Raises:
        ValueError, FileNotFoundError, CourseError: see ``outputs``; or the set's labels are not known.
    """
    path = folder / f"on-{name}.json"
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    if protocols.base(name) == "eth_xgaze":
        raise CourseError(
            "ETH-XGaze keeps the labels of its test set: python -m gazecourse predict writes what its server scores."
        )
    estimated, faces = outputs(folder, name, data)
    angles = angular_error(estimated, faces.gaze)
    interval = bootstrap_ci(angles, clusters=faces.person)
    found = dict(zip(("error", "low", "high"), (round(value, 4) for value in interval), strict=True))
    found |= {"images": len(faces), "people": len(faces.people)}
    _write(path, found)
    return found


def write_predictions(folder: Path, name: str, path: Path) -> int:
    """Write the estimates of a run for the test faces of a set to a CSV file, radians; returns the number of rows.

    Columns: image, person, pitch, yaw; and true_pitch, true_yaw, error (degrees) where the labels are known.
    """
    estimated, faces = outputs(folder, name)
    known = not bool(faces.gaze.isnan().any())
    header = ["image", "person", "pitch", "yaw"] + (["true_pitch", "true_yaw", "error"] if known else [])
    columns = [range(len(faces)), faces.person.tolist(), *_digits(estimated)]
    if known:
        columns += [*_digits(faces.gaze), [f"{angle:.4f}" for angle in angular_error(estimated, faces.gaze).tolist()]]
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *zip(*columns, strict=True)])
    return len(faces)


def _digits(gaze: Tensor) -> list[list[str]]:
    return [[f"{angle:.6f}" for angle in column] for column in gaze.T.tolist()]


# --- tables -------------------------------------------------------------------------------------


def results() -> dict[tuple[str, str, str], dict[str, list[float]]]:
    """Mean gaze errors by (system, source, target) and way of training: one for each seed, over all folds."""
    by_seed: dict[tuple, list[dict]] = {}
    for path in sorted((runs_dir() / "systems").glob("*/on-*.json")):
        run, found = read_run(path.parent), json.loads(path.read_text(encoding="utf-8"))
        key = (run["system"], run["source"], path.stem.removeprefix("on-"))
        by_seed.setdefault((key, _way(run), run["seed"]), []).append(found)
    errors: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for (key, way, _), found in by_seed.items():
        people = sum(each["people"] for each in found)
        mean = sum(each["error"] * each["people"] for each in found) / people
        errors.setdefault(key, {}).setdefault(way, []).append(mean)
    return errors


def _way(run: dict) -> str:
    """How a run was trained; runs of different ways have no common mean."""
    epochs = f", {run['epochs']} epochs" if run.get("epochs") else ""
    return f"{run['preset']}, {run['profile']}{epochs}"


def table() -> str:
    """All results as text: rendered domains and real sets apart, and beside the latter the papers' numbers."""
    found = results()
    if not found:
        return f"Nothing has been evaluated yet. {_known_runs()}"
    tasks = list(dict.fromkeys((source, target) for _, source, target in found))
    real = [task for task in tasks if all(map(protocols.is_real, task))]
    rendered = [task for task in tasks if task not in real]
    blocks = []
    for title, own in (("Rendered domains", rendered), ("Real data, beside the papers' numbers", real)):
        if own:
            blocks.append(_block(title, own, found))
    return "\n\n".join(blocks)


def _block(title: str, tasks: list[tuple[str, str]], found: dict) -> str:
    lines = [f"{title} (gaze error in degrees, mean over runs)"]
    for source, target in tasks:
        lines.append(f"\n  {source} → {target}")
        for name, system in SYSTEMS.items():
            paper = _published(name, source, target)
            published = "" if paper is None else f"   paper {paper:5.2f}"
            own = found.get((name, source, target), {"": []} if paper else {})
            for way, errors in own.items():
                lines.append(f"    {system.title:22} {way:30} {_cell(errors):24}{published}".rstrip())
    return "\n".join(lines)


def _cell(errors: list[float]) -> str:
    if not errors:
        return "–"
    if len(errors) == 1:
        return f"{errors[0]:.2f}"
    return f"{student_ci(torch.tensor(errors))} ({len(errors)} runs)"


def _published(system: str, source: str, target: str) -> float | None:
    task = protocols.base(source), protocols.base(target)
    if task[0] == task[1]:
        return SURVEY.get(system, {}).get(task[0])
    return PAPERS.get(system, {}).get(task)
