"""PureGaze's cross-domain tasks (Cheng et al. 2022, tables 1 to 4): what purification does, and to what.

    python benchmarks/puregaze.py --processes 2         # the quick profile, on two CPU cores
    python benchmarks/puregaze.py --profile full        # the paper's sizes, on a GPU
    python benchmarks/puregaze.py --seeds 7 --networks ResNet --into again    # one network with a new seed
    python benchmarks/puregaze.py --longer 3 --networks ResNet --ways purification redrawing --into puregaze_longer

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
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial

import torch
from kept import (
    Kept,
    Measured,
    Rows,
    TwoParts,
    all_rows,
    common_options,
    print_errors,
    priors,
    table,
    use_profile,
)
from report import write
from torch import Tensor, nn

from gazecourse.analysis.counterfactual import CHANGES, counterfactuals
from gazecourse.analysis.probes import features_of, leakage
from gazecourse.analysis.redrawing import frozen_features, learn_to_redraw, redrawing_errors
from gazecourse.batches import seed_all
from gazecourse.comparison import Method, Recipe
from gazecourse.cross_domain import (
    NETWORKS,
    SOURCES,
    TARGETS,
    decoder_widths,
    domain_adversarial,
    face_band,
    first,
    opponent,
    plain,
    purified,
    target_faces,
    with_blur,
)
from gazecourse.models.puregaze import SAModule
from gazecourse.paths import runs_dir
from gazecourse.purification import Purification
from gazecourse.training import make_fabric


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


WAYS = ("purification", "probes", "redrawing", "fine-tuning", "domain-adversarial", "blur", "ablations")
"""What goes on from a first part, besides the plain network."""
PROBED = ("gaze pitch", "gaze yaw", "head yaw", "identity", "age", "sex", "skin tone", "beard", "glasses", "hat",
          "light direction", "brightness", "background", "defocus", "noise")  # fmt: skip
SHAKEN = ("a dark room", "all light from the left", "thick-framed glasses", "dark skin", "out of focus")
"""Changes of single factors that should not move an estimate."""
SHAKEN_FACES = 48
REDRAWING = Recipe(epochs=16, rate=2e-3)
"""How a decoder learns to draw from frozen features."""
REDRAWN_FACES = 10_000
"""So many faces at most teach it: their features have to stay in memory."""


@dataclass(frozen=True)
class Start:
    """One first part, from which several networks go on."""

    network: str
    source: str
    seed: int


@dataclass(frozen=True)
class Plan(TwoParts):
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
            **self.shared_settings(),
            "opponents": {name: asdict(settings) for name, settings in opponents.items()},
            "decoder": decoder_widths(),
            "band": asdict(face_band()),
            "precision": self.precision,
        }

    @property
    def digest(self) -> str:
        """Of the settings."""
        return hashlib.sha256(json.dumps(self.settings()).encode()).hexdigest()[:10]


class Trained(Kept):
    """The networks of one first part, and what is measured of them: each made when first asked for, then kept."""

    def __init__(self, start: Start, plan: Plan) -> None:
        folder = runs_dir() / "puregaze" / f"{plan.digest}-{start.network}-{start.source}-seed{start.seed}"
        super().__init__(folder, start.source, start.seed, NETWORKS[start.network].forward, plan.precision)
        self.name, self.plan = start.network, plan

    def gaze_method(self) -> Method:
        """The network on its own."""
        return plain(self.name)

    def beginning(self) -> nn.Module:
        """What the first part has learned."""
        method = first(self.name, self.size)
        return self.kept("first", method.build, lambda: self.learned(method, self.plan.first_part))

    def going_on(self, name: str, method: Method) -> nn.Module:
        """A network of the second part."""
        return self.kept(name, method.build, lambda: self.learned(method, self.plan.second_part, self.beginning()))

    def plain(self) -> nn.Module:
        """It goes on without an opponent."""
        return self.going_on("plain", self.gaze_method())

    def purified(self, name: str = "purified", settings: Purification | None = None) -> nn.Module:
        """It goes on with an opponent."""
        return self.going_on(name, purified(self.name, self.size, settings or opponent()))

    def blurred(self) -> nn.Module:
        """It goes on with blurred faces among the others, without an opponent."""
        return self.going_on("blurred", with_blur(self.gaze_method()))

    def purified_and_blurred(self) -> nn.Module:
        """The same with an opponent."""
        return self.going_on("purified-blurred", with_blur(purified(self.name, self.size, opponent())))

    def domain_adversarial(self, target: str) -> nn.Module:
        """It goes on with unlabeled target faces."""
        return self.going_on(f"adversarial-{target}", domain_adversarial(target_faces(target)))

    def leaks(self, name: str, model: Callable[[], nn.Module]) -> Measured:
        """Score of each probe on the home domain's unseen people."""

        def measure() -> Measured:
            features = features_of(model(), self.home, "backbone", forward=self.forward)
            found = leakage(features, self.home, PROBED, resamples=1)
            return {f"probe: {factor}": probe.score for factor, probe in found.items()}

        return self.measured(f"leaks-{name}", measure)

    def shaken(self, name: str, model: Callable[[], nn.Module]) -> Measured:
        """How far an estimate moves when one factor of a face is changed and nothing else, degrees."""

        def measure() -> Measured:
            network, every = model(), len(self.home) // SHAKEN_FACES
            faces = self.home.factors[torch.arange(0, len(self.home), every)[:SHAKEN_FACES]]
            changes = {change: CHANGES[change] for change in SHAKEN}
            device = next(network.parameters()).device

            def see(images: Tensor) -> Tensor:
                return network(face_band().cut(images))

            effects = counterfactuals(see, faces, changes, self.size.face, device=device)
            return {f"moved by: {change}": effect.moved.mean for change, effect in effects.items()}

        return self.measured(f"shaken-{name}", measure)

    def redrawn(self, name: str, model: Callable[[], nn.Module]) -> Measured:
        """Mean squared error of what a new decoder draws, once it has learned to draw from the frozen features."""

        def measure() -> Measured:
            network, many = model(), torch.arange(0, len(self.faces), -(-len(self.faces) // REDRAWN_FACES))
            seed_all(self.seed)  # the same decoder for each network
            decoder = SAModule(network.maps[0], decoder_widths())
            size = tuple(side * 2 ** len(decoder.stages) for side in network.maps[1:])
            known = frozen_features(network, self.faces.subset(many), face_band(), size, mirrored=True)
            fabric = make_fabric(precision=self.precision)
            learn_to_redraw(decoder, known, REDRAWING, seed=self.seed, fabric=fabric)
            errors = redrawing_errors(decoder, frozen_features(network, self.home, face_band(), size))
            return {"redrawn": errors.mean().item()}

        return self.measured(f"redrawn-anew-{name}", measure)


def rows_of(start: Start, plan: Plan) -> Rows:
    """Everything that goes on from one first part: errors in degrees, scores of probes, errors of redrawing."""
    trained = Trained(start, plan)
    everywhere = (*TARGETS, "home")
    rows = {"plain": trained.errors("plain", trained.plain, everywhere)}
    if plan.goes("purification", start):
        rows["purified"] = trained.errors("purified", trained.purified, everywhere)
    for name, model in (("plain", trained.plain), ("purified", trained.purified)):
        asked = {"probes": (trained.leaks, trained.shaken), "redrawing": (trained.redrawn,)}
        for measure in (m for way, measures in asked.items() if plan.goes(way, start) for m in measures):
            rows.setdefault(name, {}).update(measure(name, model))
        if plan.goes("fine-tuning", start):
            rows[f"{name}, fine-tuned"] = trained.tuned_errors(name, model)
    if plan.goes("domain-adversarial", start):
        seen = [trained.errors(f"adversarial-{t}", partial(trained.domain_adversarial, t), (t,)) for t in TARGETS]
        rows["domain-adversarial"] = seen[0] | seen[1]
    if plan.goes("blur", start):
        rows["blurred"] = trained.errors("blurred", trained.blurred, everywhere)
        rows["blurred, purified"] = trained.errors("purified-blurred", trained.purified_and_blurred, everywhere)
    if plan.goes("ablations", start):
        for name, settings in ablations().items():
            rows[name] = trained.errors(name, partial(trained.purified, name, settings), everywhere)
    return rows


COUNTERPARTS = {"purified, fine-tuned": "plain, fine-tuned", "blurred, purified": "blurred"}


def compared_with(name: str) -> tuple[str, ...]:
    """The row that a row's difference is taken from."""
    return (COUNTERPARTS.get(name, "plain"),)


def tables(runs: dict[Start, Rows], networks: tuple[str, ...]) -> dict:
    """Network → row → source → what was measured; and each row's difference to its plain counterpart."""

    def of(network: str, source: str) -> list[Rows]:
        return [rows for at, rows in runs.items() if (at.network, at.source) == (network, source)]

    return {n: table({source: of(n, source) for source in SOURCES}, compared_with) for n in networks}


def main() -> None:
    """Train everything that is not yet there, print the errors and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common_options(parser, "puregaze")
    parser.add_argument("--networks", nargs="+", choices=tuple(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="what goes on from a first part")
    options = parser.parse_args()
    use_profile(options.profile)
    what = tuple(options.seeds), tuple(options.networks), tuple(options.ways)
    plan = Plan(*what, options.ablation_seeds, options.precision, longer=options.longer)
    heads = priors()
    found = tables(all_rows(rows_of, plan.starts(), plan, options.processes), plan.networks)
    for network, rows in found.items():
        print_errors(rows, f"{network:12}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = {**plan.settings(), "seeds": options.seeds}
    settings |= {"ablation_seeds": options.seeds[: options.ablation_seeds], "redrawing": asdict(REDRAWING)}
    print(write(options.into, device, **settings, head_pose=heads, networks=found))


if __name__ == "__main__":
    main()
