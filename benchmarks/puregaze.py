"""PureGaze's cross-domain tasks (Cheng et al. 2022, tables 1 to 4): what purification does, and to what.

    python benchmarks/puregaze.py --processes 2         # the quick profile, on two CPU cores
    python benchmarks/puregaze.py --profile full        # the paper's sizes, on a GPU
    python benchmarks/puregaze.py --seeds 7 --networks ResNet --into again    # one network with a new seed

Every network is trained on *studio* or on *wild* alone and tested on *laptop* and *lab*, and at home on people it has
not seen. A training has two parts. In the first a network learns gaze; from there it goes on in several ways that
differ in one thing only: with an opponent or without, with another setting of the opponent, with unlabeled target
faces. The length of both parts is fixed beforehand, so no image of a target domain decides when to stop. Every number
is a mean over seeds with Student's t interval; differences are taken seed by seed.

A run that was cut off goes on where it stopped: each network is kept in the cache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from multiprocessing import get_context

import torch
from report import write
from torch import nn

from gazecourse.analysis.counterfactual import CHANGES, counterfactuals
from gazecourse.analysis.probes import features_of, leakage
from gazecourse.analysis.redrawing import Redrawing, learn_to_redraw, redrawing_errors
from gazecourse.checkpoint import load_checkpoint, save_checkpoint
from gazecourse.comparison import Method, Recipe, fit, size_of_profile
from gazecourse.cross_domain import (
    NETWORKS,
    SOURCES,
    TARGETS,
    continued,
    decoder_widths,
    domain_adversarial,
    face_band,
    few_faces,
    fine_tuning,
    first,
    first_part,
    opponent,
    plain,
    purified,
    second_part,
    source_faces,
    source_set,
    target_faces,
    test_faces,
)
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.rendering import render
from gazecourse.files import atomic_write
from gazecourse.metrics import gaze_error, student_ci
from gazecourse.paths import runs_dir
from gazecourse.profiles import profile
from gazecourse.purification import Purification
from gazecourse.training import make_fabric, predict


def ablations() -> dict[str, Purification]:
    """Settings of the opponent beside ``opponent()``, one changed at a time."""
    usual = opponent()
    weights = {f"w1 : w2 = 1 : {w2:g}": replace(usual, w2=w2) for w2 in (1.0, 5.0, 20.0) if w2 != usual.w2}
    return {
        "without LP-Loss": replace(usual, sigma=None),
        "without TA-Loss": replace(usual, k=0.0),
        "without both": replace(usual, sigma=None, k=0.0),
        "k = 0.5": replace(usual, k=0.5),
        "k = 0.9": replace(usual, k=0.9),
        "sigma = 0.05": replace(usual, sigma=0.05),
        "sigma = 0.2": replace(usual, sigma=0.2),
        "released maps": replace(usual, sigma=20**0.5 / 224, form="exponential"),
        **weights,
    }


WAYS = ("purification", "probes", "fine-tuning", "domain-adversarial", "ablations")
"""What goes on from a first part, besides the plain network."""
PROBED = ("gaze pitch", "gaze yaw", "head yaw", "identity", "age", "sex", "skin tone", "beard", "glasses", "hat",
          "light direction", "brightness", "background", "defocus", "noise")  # fmt: skip
SHAKEN = ("a dark room", "all light from the left", "thick-framed glasses", "dark skin", "out of focus")
"""Changes of single factors that should not move an estimate."""
SHAKEN_FACES = 48


@dataclass(frozen=True)
class Start:
    """One first part, from which several networks go on."""

    network: str
    source: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """What is trained.

    Attributes:
        ways: which of ``WAYS`` are gone.
        ablation_seeds: the first so many seeds also train the ablations.
        precision: Fabric's name of it.
    """

    seeds: tuple[int, ...]
    networks: tuple[str, ...]
    ways: tuple[str, ...]
    ablation_seeds: int
    precision: str = "auto"

    def starts(self) -> list[Start]:
        """All first parts, seed by seed: what is there when a run is cut off holds whole seeds."""
        return [Start(n, source, seed) for seed in self.seeds for source in SOURCES for n in self.networks]

    def goes(self, way: str, start: Start) -> bool:
        """Whether this way is gone from there: the paper purifies three networks and takes one of them apart."""
        few = way == "ablations" and start.seed not in self.seeds[: self.ablation_seeds]
        can = start.network == "ResNet" or (way == "purification" and NETWORKS[start.network].purified is not None)
        return way in self.ways and can and not few

    def settings(self) -> dict:
        """Everything that trainings depend on, besides their code, as JSON values."""
        opponents = {"purified": opponent(), **ablations()}
        return {
            "profile": profile(),
            "size": asdict(size_of_profile()),
            "first_part": asdict(first_part()),
            "second_part": asdict(second_part()),
            "fine_tuning": asdict(fine_tuning()),
            "sources": {s: source_set(s).parameters for s in SOURCES},
            "opponents": {name: asdict(settings) for name, settings in opponents.items()},
            "decoder": decoder_widths(),
            "band": asdict(face_band()),
            "precision": self.precision,
        }

    @property
    def digest(self) -> str:
        """Of the settings."""
        return hashlib.sha256(json.dumps(self.settings()).encode()).hexdigest()[:10]


Measured = dict[str, float]


class Trained:
    """The networks of one first part, and what is measured of them: each made when first asked for, then kept."""

    def __init__(self, start: Start, plan: Plan) -> None:
        self.start, self.plan, self.size = start, plan, size_of_profile()
        self.folder = runs_dir() / "puregaze" / f"{plan.digest}-{start.network}-{start.source}-seed{start.seed}"
        self.network = NETWORKS[start.network]

    @cached_property
    def faces(self) -> FaceDataset:
        """What the networks learn from; not loaded where all of them are kept."""
        return source_faces(self.start.source)

    @cached_property
    def home(self) -> FaceDataset:
        """People of the same domain whom they have not seen."""
        return test_faces(self.start.source)

    def beginning(self) -> nn.Module:
        """What the first part has learned."""
        return self._kept("first", first(self.start.network, self.size), first_part())

    def going_on(self, name: str, method: Method) -> nn.Module:
        """A network of the second part."""
        return self._kept(name, method, second_part(), self.beginning)

    def plain(self) -> nn.Module:
        """It goes on without an opponent."""
        return self.going_on("plain", plain(self.start.network))

    def purified(self, name: str = "purified", settings: Purification | None = None) -> nn.Module:
        """It goes on with an opponent."""
        return self.going_on(name, purified(self.start.network, self.size, settings or opponent()))

    def domain_adversarial(self, target: str) -> nn.Module:
        """It goes on with unlabeled target faces."""
        return self.going_on(f"adversarial-{target}", domain_adversarial(target_faces(target)))

    def fine_tuned(self, name: str, model: Callable[[], nn.Module], target: str) -> nn.Module:
        """A network of the second part, taught with a few labeled target faces."""
        few = few_faces(target, self.start.seed)
        return self._kept(f"{name}-tuned-{target}", plain(self.start.network), fine_tuning(), model, few)

    def errors(self, name: str, model: Callable[[], nn.Module], domains: tuple[str, ...]) -> Measured:
        """Mean gaze error in each domain and at home, degrees."""

        def measure() -> Measured:
            found, network = {}, model()
            for domain in domains:
                faces = self.home if domain == "home" else test_faces(domain)
                found[domain] = gaze_error(predict(network, faces, self.network.forward), faces.gaze)
            return found

        return self._measured(f"errors-{name}", measure)

    def leaks(self, name: str, model: Callable[[], nn.Module]) -> Measured:
        """Score of each probe on the home domain's unseen people."""

        def measure() -> Measured:
            features = features_of(model(), self.home, "backbone", forward=self.network.forward)
            found = leakage(features, self.home, PROBED, resamples=1)
            return {f"probe: {factor}": probe.score for factor, probe in found.items()}

        return self._measured(f"leaks-{name}", measure)

    def shaken(self, name: str, model: Callable[[], nn.Module]) -> Measured:
        """How far an estimate moves when one factor of a face is changed and nothing else, degrees."""

        def measure() -> Measured:
            network, every = model(), len(self.home) // SHAKEN_FACES
            faces = self.home.factors[torch.arange(0, len(self.home), every)[:SHAKEN_FACES]]
            see = lambda images: network(face_band().cut(images))  # noqa: E731
            changes = {change: CHANGES[change] for change in SHAKEN}
            effects = counterfactuals(see, faces, changes, self.size.face, device=next(network.parameters()).device)
            return {f"moved by: {change}": effect.moved.mean for change, effect in effects.items()}

        return self._measured(f"shaken-{name}", measure)

    def redrawn(self, name: str, model: Callable[[], nn.Module], decoder: Callable[[], nn.Module]) -> Measured:
        """Mean squared error of a decoder that had a second part's time to learn to draw from the frozen features."""

        def measure() -> Measured:
            redrawing = Redrawing(model(), decoder().sa_module)
            seed, fabric = self.start.seed, make_fabric(precision=self.plan.precision)
            learn_to_redraw(redrawing, self.faces, second_part(), face_band(), seed=seed, fabric=fabric)
            return {"redrawn": redrawing_errors(redrawing, self.home, face_band()).mean().item()}

        return self._measured(f"redrawn-{name}", measure)

    def _measured(self, name: str, measure: Callable[[], Measured]) -> Measured:
        path = self.folder / f"{name}.json"
        if not path.exists():
            found = measure()
            with atomic_write(path) as temporary:
                temporary.write_text(json.dumps(found))
        return json.loads(path.read_text())

    def _kept(
        self,
        name: str,
        method: Method,
        recipe: Recipe,
        begin_with: Callable[[], nn.Module] | None = None,
        faces: FaceDataset | None = None,
    ) -> nn.Module:
        path = self.folder / f"{name}.safetensors"
        if path.exists():
            model = method.build(self.size)
            load_checkpoint(path, model)
            return model.eval()
        if begin_with is not None:
            method = continued(method, begin_with())
        began = time.perf_counter()
        fabric = make_fabric(precision=self.plan.precision, several_optimizers=True)
        model, _ = fit(method, faces or self.faces, recipe, size=self.size, seed=self.start.seed, fabric=fabric)
        save_checkpoint(path, model)
        print(f"{self.folder.name} {name}: {time.perf_counter() - began:.0f} s", flush=True)
        return model


Rows = dict[str, Measured]
"""What comes from one first part, by the name of the way it went on."""


def rows_of(start: Start, plan: Plan) -> Rows:
    """Everything that goes on from one first part: errors in degrees, scores of probes, errors of redrawing."""
    trained = Trained(start, plan)
    everywhere = (*TARGETS, "home")
    rows = {"plain": trained.errors("plain", trained.plain, everywhere)}
    if plan.goes("purification", start):
        rows["purified"] = trained.errors("purified", trained.purified, everywhere)
    both = (("plain", trained.plain, trained.beginning), ("purified", trained.purified, trained.purified))
    for name, model, decoder in both:
        if plan.goes("probes", start):
            for found in (
                trained.leaks(name, model),
                trained.shaken(name, model),
                trained.redrawn(name, model, decoder),
            ):
                rows.setdefault(name, {}).update(found)
        if plan.goes("fine-tuning", start):
            tuned = [
                trained.errors(f"{name}-tuned-{t}", partial(trained.fine_tuned, name, model, t), (t,)) for t in TARGETS
            ]
            rows[f"{name}, fine-tuned"] = tuned[0] | tuned[1]
    if plan.goes("domain-adversarial", start):
        seen = [trained.errors(f"adversarial-{t}", partial(trained.domain_adversarial, t), (t,)) for t in TARGETS]
        rows["domain-adversarial"] = seen[0] | seen[1]
    if plan.goes("ablations", start):
        for name, settings in ablations().items():
            rows[name] = trained.errors(name, partial(trained.purified, name, settings), everywhere)
    return rows


def one_start(start: Start, plan: Plan, threads: int | None) -> tuple[Start, Rows]:
    """``rows_of`` in a process of its own."""
    if threads:
        torch.set_num_threads(threads)
    return start, rows_of(start, plan)


# --- tables -------------------------------------------------------------------------------------


def cell(values: list[float]) -> dict:
    """Mean over seeds with its interval (no interval for a single seed), and the value of each seed."""
    mean = student_ci(torch.tensor(values)) if len(values) > 1 else values
    return {"mean": [round(v, 5) for v in mean], "by_seed": [round(v, 5) for v in values]}


def column(runs: list[Rows], row: str, minus: str | None = None) -> dict:
    """What was measured of a row in every run that has it, or its difference to another row of the same run."""
    found = [run for run in runs if row in run and (minus is None or minus in run)]
    if not found:
        return {}
    names = [name for name in found[0][row] if all(minus is None or name in run[minus] for run in found)]
    return {n: cell([run[row][n] - (run[minus][n] if minus else 0.0) for run in found]) for n in names}


def tables(runs: dict[Start, Rows], networks: tuple[str, ...]) -> dict:
    """Network → row → source → what was measured; and each row's difference to its plain counterpart."""
    result: dict[str, dict] = {}
    for network in networks:
        by_source = {s: [rows for at, rows in runs.items() if (at.network, at.source) == (network, s)] for s in SOURCES}
        names = list(dict.fromkeys(name for found in by_source.values() for rows in found for name in rows))
        result[network] = {name: {s: column(found, name) for s, found in by_source.items()} for name in names}
        for name in names:
            minus = "plain, fine-tuned" if name == "purified, fine-tuned" else "plain"
            if name != minus:
                result[network][f"{name} − {minus}"] = {s: column(found, name, minus) for s, found in by_source.items()}
    return result


def priors() -> dict[str, float]:
    """Error of the head pose taken as gaze, degrees."""
    faces = {domain: test_faces(domain) for domain in (*TARGETS, *SOURCES)}
    return {domain: round(gaze_error(data.head, data.gaze), 3) for domain, data in faces.items()}


def main() -> None:
    """Train everything that is not yet there, print the errors and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--networks", nargs="+", choices=tuple(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="what goes on from a first part")
    parser.add_argument("--ablation-seeds", type=int, default=3, help="so many seeds also train the ablations")
    parser.add_argument("--profile", choices=("quick", "full"), help="sizes; default GAZECOURSE_PROFILE, or quick")
    parser.add_argument("--processes", type=int, default=1, help="trainings side by side, on a CPU")
    parser.add_argument("--precision", default="auto", help="Fabric's name of it, such as bf16-mixed")
    parser.add_argument("--into", default="puregaze", metavar="NAME", help="write results/NAME.json")
    options = parser.parse_args()
    if options.profile:
        os.environ["GAZECOURSE_PROFILE"] = options.profile
    plan = Plan(
        tuple(options.seeds), tuple(options.networks), tuple(options.ways), options.ablation_seeds, options.precision
    )
    render([source_set(domain) for domain in SOURCES])  # here, not in every process
    heads = priors()
    work = partial(one_start, plan=plan, threads=None if options.processes == 1 else 1)
    if options.processes == 1:
        runs = dict(map(work, plan.starts()))
    else:
        with get_context("spawn").Pool(options.processes, maxtasksperchild=1) as pool:
            runs = dict(pool.imap_unordered(work, plan.starts()))
    runs = {start: runs[start] for start in plan.starts()}
    found = tables(runs, plan.networks)
    for network, rows in found.items():
        for row, by_source in rows.items():
            errors = [
                f"{s} → {d} {c['mean'][0]:+6.2f}" for s, m in by_source.items() for d, c in m.items() if " " not in d
            ]
            print(f"{network:12}{row:34}", *errors)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = {**plan.settings(), "seeds": options.seeds}
    settings |= {"ablation_seeds": options.seeds[: options.ablation_seeds]}
    print(write(options.into, device, **settings, head_pose=heads, networks=found))


if __name__ == "__main__":
    main()
