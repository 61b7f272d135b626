"""The commands for real data and trained systems: prepare, train, evaluate, predict, compare, look.

Heavy modules are imported when a command runs, so that help and mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gazecourse import profiles

if TYPE_CHECKING:
    from tqdm import tqdm

    from gazecourse.history import History
    from gazecourse.logbook import Progress
    from gazecourse.looking import Seen

SUMMARY = """\
  prepare     convert a real data set that you downloaded, for quick training
  train       train a system on one set and test it on others
  evaluate    test a trained system on another set
  predict     write a trained system's estimates to a CSV file
  compare     all results beside the papers' numbers
  look        where the people in a photograph, in a video or before a camera look"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the commands to a parser's."""
    _add_prepare(commands)
    _add_train(commands)
    run = {"metavar": "RUN", "help": "folder or name of a run that train made"}
    evaluate = commands.add_parser("evaluate", help="test a trained system on another set")
    evaluate.add_argument("run_name", **run)
    evaluate.add_argument("--on", action="append", required=True, metavar="SET", help="set (may be given again)")
    evaluate.set_defaults(run=_evaluate)
    predict = commands.add_parser("predict", help="write a trained system's estimates to a CSV file")
    predict.add_argument("run_name", **run)
    predict.add_argument("--on", required=True, metavar="SET", help="set whose test faces are looked at")
    predict.add_argument("--into", type=Path, required=True, metavar="FILE", help="the CSV file")
    predict.set_defaults(run=_predict)
    compare = commands.add_parser("compare", help="all results beside the papers' numbers")
    compare.set_defaults(run=_compare)
    _add_look(commands)


def _add_prepare(commands: argparse._SubParsersAction) -> None:
    prepare = commands.add_parser(
        "prepare",
        help="convert a real data set that you downloaded, for quick training",
        description="Without --from, says what to download, from whom and on what terms. Goes on where it was cut off.",
    )
    prepare.add_argument("set", nargs="?", metavar="SET", help="such as mpiifacegaze or wflw; left out: names all")
    prepare.add_argument("--from", dest="root", type=Path, metavar="FOLDER", help="folder of the downloaded data")
    prepare.add_argument("--release", help="which of the set's releases; default: look at the folder")
    prepare.add_argument("--size", type=int, help="height and width of the images (default: 224, for landmarks 256)")
    prepare.add_argument("--processes", type=int, help="default: one a core, at most 4")
    prepare.add_argument("--into", type=Path, metavar="FOLDER", help="folder for the set's own (default: the course's)")
    prepare.add_argument("--missing-ok", action="store_true", help="go on where people or files are missing")
    prepare.set_defaults(run=_prepare)


def _add_train(commands: argparse._SubParsersAction) -> None:
    train = commands.add_parser(
        "train",
        help="train a system on one set and test it on others",
        description="Systems are for gaze or for landmarks. Sets are rendered domains (studio, wild, laptop, lab; as a "
        "source also rendered, which is all of them) or prepared real ones. With the source as target, the set's own "
        "protocol: MPIIFaceGaze leaves each person out, EYEDIAP a quarter of the people, the others have a training "
        "and a test split.",
    )
    train.add_argument("system", metavar="SYSTEM", help="such as puregaze or structure_coherent (train list: all)")
    train.add_argument("--source", metavar="SET", help="what to learn from")
    train.add_argument("--target", action="append", default=[], metavar="SET", help="what to be tested on")
    train.add_argument("--preset", default="course", help="how to train (default: course; train list names all)")
    train.add_argument("--profile", choices=profiles.PROFILES, help="sizes; default: GAZECOURSE_PROFILE, else quick")
    train.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    train.add_argument("--epochs", type=int, help="instead of the preset's, in each of its parts")
    train.add_argument("--part", action="append", metavar="NAME", help="only this part of a protocol, such as p03")
    train.add_argument("--precision", default="auto", help="Fabric's name of it, such as bf16-mixed")
    train.set_defaults(run=_train)


def _add_look(commands: argparse._SubParsersAction) -> None:
    look = commands.add_parser(
        "look",
        help="where the people in a photograph, in a video or before a camera look",
        description="Draws arrows and landmarks. The ending of each FILE decides what is saved: a picture of a "
        "photograph, a video of a video or a camera, or a table (.csv). The camera runs until Ctrl+C.",
    )
    look.add_argument("file", nargs="?", type=Path, metavar="PHOTO_OR_VIDEO", help="what to look at")
    look.add_argument("--camera", type=int, metavar="NUMBER", help="instead: a camera; 0 is the first")
    look.add_argument("--run", dest="run_name", metavar="RUN", help="system that train made (default: the latest)")
    look.add_argument("--into", action="append", type=Path, default=[], metavar="FILE", help="result (may be repeated)")
    look.add_argument("--landmarks", metavar="RUN", help="landmark system that train made, or a network's file")
    look.add_argument("--focal", type=float, help="focal length of the camera in pixels (default: the longer side)")
    look.add_argument("--seconds", type=float, help="stop the camera after so long")
    look.set_defaults(run=_look)


# --- prepare ------------------------------------------------------------------------------------


def _prepare(arguments: argparse.Namespace) -> int:
    from gazecourse.datasets.preparing import prepare, store_folder
    from gazecourse.datasets.releases import open_release, releases

    if arguments.set is None:
        return _list_sets()
    if arguments.root is None:
        for release in releases(arguments.set).values():
            print(f"{release.title}\n  {release.how_to_get}\n")
        print(f"Then: python -m gazecourse prepare {arguments.set} --from FOLDER")
        return 0
    source = open_release(arguments.set, arguments.root, arguments.release, missing_ok=arguments.missing_ok)
    manifest = prepare(source, size=arguments.size, root=arguments.into, processes=arguments.processes)
    _report(manifest, store_folder(source, arguments.size, arguments.into))
    return 0


def _list_sets() -> int:
    from gazecourse.datasets.releases import SETS, releases
    from gazecourse.datasets.store import prepared

    there = prepared()
    for name in SETS:
        own = ", ".join(key for key in there if key.startswith(name))
        print(f"{name:14} releases: {', '.join(releases(name)):28} {'prepared: ' + own if own else 'not prepared'}")
    print("\npython -m gazecourse prepare SET says what to download, from whom and on what terms.")
    return 0


def _report(manifest: dict, folder: Path) -> None:
    people = "" if manifest["people"] is None else f" of {manifest['people']:,} people"
    print(f"{manifest['title']}: {manifest['images']:,} images{people} in {folder}")
    for reason, count in manifest["left_out"].items():
        print(f"  left out by the protocol: {count:,} ({reason})")
    for warning in manifest["warnings"]:
        print(f"  note: {warning}")
    if manifest["skipped"]:
        first = manifest["skipped"][0]
        where = folder / "manifest.json"
        print(f"  skipped: {manifest['skipped_count']:,} of {manifest['records']:,}, listed in {where}")
        print(f"  the first of them: {first['where']}: {first['reason']}")
    print(f"  terms: {manifest['terms']}")


# --- systems ------------------------------------------------------------------------------------


class Bar:
    """A progress bar for trainings in a terminal; see ``logbook.Observer``."""

    stop_requested = False

    def __init__(self, title: str) -> None:
        self.title = title
        self.bar: tqdm | None = None

    def begin(self, history: History, progress: Progress) -> None:
        """Show it."""
        from tqdm import tqdm

        images = progress.total_steps * progress.batch_size
        done = progress.step * progress.batch_size
        self.bar = tqdm(total=images, initial=done, unit=" images", desc=self.title, file=sys.stderr)

    def update(self, progress: Progress) -> None:
        """Move it."""
        self.bar.update(progress.step * progress.batch_size - self.bar.n)

    def end(self, progress: Progress) -> None:
        """Leave it as it is."""
        self.bar.close()


def _train(arguments: argparse.Namespace) -> int:
    from gazecourse import runs

    if arguments.system == "list":
        return _list_systems()
    if arguments.source is None:
        raise ValueError("--source must name what to learn from, such as studio or eth_xgaze.")
    if arguments.profile:
        os.environ[profiles.VARIABLE] = arguments.profile
    folders = runs.train(
        arguments.system,
        arguments.source,
        arguments.target,
        preset=arguments.preset,
        seed=arguments.seed,
        epochs=arguments.epochs,
        parts=arguments.part,
        precision=arguments.precision,
        observer=Bar(f"{arguments.system} on {arguments.source}"),
    )
    for folder in folders:
        print(folder)
        for path in sorted(folder.glob("on-*.json")):
            _print_result(folder, path.stem.removeprefix("on-"))
    return 0


def _list_systems() -> int:
    from gazecourse.landmark_systems import LANDMARK_PRESETS, LANDMARK_SYSTEMS
    from gazecourse.systems import PRESETS, SYSTEMS

    for title, systems, presets in (
        ("Gaze", SYSTEMS, PRESETS),
        ("Landmarks", LANDMARK_SYSTEMS, LANDMARK_PRESETS),
    ):
        print(f"{title}:")
        for name, system in systems.items():
            print(f"  {name:28} {system.title}")
        for name, preset in presets.items():
            print(f"  --preset {name}: {preset.origin}")
    return 0


def _print_result(folder: Path, name: str) -> None:
    from gazecourse import runs

    system = runs.ALL[runs.system_of(folder)]
    print(f"  {name}: {system.describe(runs.evaluate(folder, name))}")


def _evaluate(arguments: argparse.Namespace) -> int:
    from gazecourse import runs

    folder = runs.find_run(arguments.run_name)
    for name in arguments.on:
        _print_result(folder, name)
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from gazecourse import runs

    count = runs.write_predictions(runs.find_run(arguments.run_name), arguments.on, arguments.into)
    print(f"{count:,} estimates in {arguments.into}")
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from gazecourse import runs

    print(runs.table())
    return 0


# --- look ---------------------------------------------------------------------------------------


def _look(arguments: argparse.Namespace) -> int:
    import torch

    from gazecourse import looking, runs
    from gazecourse.media import results_for, source_kind
    from gazecourse.paths import LANDMARK_MODEL
    from gazecourse.validation import check_positive

    kind = source_kind(arguments.file, arguments.camera)
    into, table = results_for(kind, arguments.file, arguments.into)
    for name in ("focal", "seconds"):
        if getattr(arguments, name) is not None:
            check_positive(f"--{name}", getattr(arguments, name))
    torch.set_num_threads(1)  # one face at a time: sharing its small layers among cores costs more than it gains
    find = looking.finder(runs.landmark_file(arguments.landmarks) if arguments.landmarks else LANDMARK_MODEL)
    folder = runs.latest() if arguments.run_name is None else runs.find_run(arguments.run_name)
    gazer = looking.gazer_of(folder)
    print(f"system: {folder.name}")
    options = {"into": into, "table": table, "focal": arguments.focal}
    if kind == "photo":
        print(looking.in_words(looking.look_at_photo(arguments.file, find, gazer, **options)))
    elif kind == "video":
        _follow(looking.look_at_video(arguments.file, find, gazer, **options))
    else:
        with _until_stopped(arguments.seconds) as until:
            _follow(looking.look_at_camera(arguments.camera, find, gazer, until=until, **options))
    for path in filter(None, (into, table)):
        print(path)
    return 0


def _follow(seen: Iterator[Seen]) -> None:
    """Go through pictures, with the frame rate and what was seen last on one line; then say how many had a face."""
    from gazecourse.looking import FrameRate, in_words

    rate, count, with_face = FrameRate(), 0, 0
    try:
        for _, _, found in seen:
            count, with_face = count + 1, with_face + bool(found)
            words = "; ".join(in_words(found).splitlines()) or "no face"
            line = f"{rate.tick(time.perf_counter()):5.1f} frames/s  {words:.100}"
            print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)
    finally:
        if count:
            print(file=sys.stderr)
    print(f"{count:,} pictures, {with_face:,} with a face")


@contextmanager
def _until_stopped(limit: float | None) -> Iterator[Callable[[float], bool]]:
    """A function that says, told the seconds since the start, whether to stop: after ``limit``, or Ctrl+C."""
    asked = []

    def stop(*_: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(True)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield lambda seconds: bool(asked) or (limit is not None and seconds >= limit)
    finally:
        signal.signal(signal.SIGINT, before)
