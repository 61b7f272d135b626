# %% [markdown]
# # 05 · The domain gap
#
# A gaze network that errs by ten degrees on people it never met can err by twenty in another room. That difference is
# the *domain gap*, the central problem of gaze estimation: nobody can collect labels everywhere. In this notebook you
# open one, take it apart factor by factor, and look into the network for what it should have forgotten.
#
# | | |
# |:--|:--|
# | **You will learn** | to measure a domain gap, to find its causes with counterfactual faces, to probe what features know |
# | **Time** | 45 minutes to read, 22 for two exercises |
# | **Hardware** | two CPU cores, under four minutes of computing |
# | **You need** | notebooks 02 and 04 |

# %%
from collections.abc import Callable

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import one_hot

from gazecourse import plotting
from gazecourse.analysis.counterfactual import CHANGES, borrow, counterfactuals, predictions
from gazecourse.analysis.embedding import neighborhood_agreement, umap_embedding
from gazecourse.analysis.probes import features_of, leakage
from gazecourse.angles import angular_error
from gazecourse.comparison import Recipe, fit, size_of_profile
from gazecourse.cross_domain import face_band, from_band, plain
from gazecourse.exercises.domain_gap import check
from gazecourse.faces.attributes import Factors
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.renderer import Renderer
from gazecourse.metrics import bootstrap_ci, gaze_error
from gazecourse.profiles import pick
from gazecourse.training import predict
from gazecourse.widgets.feature_explorer import FeatureExplorer
from gazecourse.widgets.live_curve import LiveCurve

plotting.use_style()

# %% [markdown]
# ## 1 · The question
# Four domains, four rows of faces. The network of this notebook learns from the first row only, *studio*: many cameras,
# many poses, lamps under control, sharp pictures. Which of the other rows will be hard for it, and why? Make a guess
# before you go on; you will be able to check every part of it.

# %%
DOMAINS = ("studio", "wild", "laptop", "lab")
people = FaceDataset("studio", "train")
faces = {domain: FaceDataset(domain, "test") for domain in DOMAINS}
plotting.image_grid(
    torch.cat([faces[domain].images[torch.arange(8) * 61] for domain in DOMAINS]),
    None,
    "Four rows of eight faces. Studio: sharp, in many poses, before plain backdrops. Wild: blurred, in many poses, out of "
    "doors and in rooms. Laptop: frontal, in rooms, looking down a little. Lab: frontal, very blurred, noisy.",
    columns=8,
)

# %% [markdown]
# ## 2 · A network that is good at home
# It is the baseline of the PureGaze paper (Cheng, Bao and Lu 2022): a ResNet-18 (He et al. 2016), the mean of each
# feature map over all places, and a perceptron of two layers:
#
# $$Z = E(I), \qquad \hat g = F(\bar Z) .$$
#
# $Z$ holds what the network knows about the picture; we will come back to it. On two cores the channels are a quarter,
# and instead of 224² pixels of face the network sees the band across the eyes, enlarged. A full profile on a GPU sees
# all of the face.

# %%
band = face_band()
plotting.image_grid(
    band.cut(faces["studio"].images[:6] / 255.0),
    None,
    "Six bands across faces, from the forehead to the tip of the nose: what the network sees.",
    columns=3,
)
print(f"{band.size[0]} × {band.size[1]} pixels, from {band.top:.0%} to {band.bottom:.0%} of the face's height")

# %%
network = plain("ResNet")
model = network.build(size_of_profile())
print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, Z has {model.maps[0]} maps of "
      f"{model.maps[1]} × {model.maps[2]}")  # fmt: skip

# %% [markdown]
# Training: studio people on the left, nobody else. The curve shows people of the same domain whom the network has not
# seen.

# %% tags=["nbval-ignore-output"]
home = faces["studio"]
model, history = fit(
    network,
    people,
    Recipe(epochs=pick(quick=8, full=15), rate=pick(quick=2e-3, full=1e-3)),
    evaluate=lambda m: {"unseen people": gaze_error(predict(m, home, from_band), home.gaze)},
    observer=LiveCurve("studio", references={"head pose taken as gaze": gaze_error(home.head, home.gaze)}),
)

# %% [markdown]
# ## 3 · The gap
# The same network, the same minute, four domains. Beside the error stands the prior, which takes the head pose for the
# gaze and needs no network at all; beside that, the share of the variance of pitch and yaw that the network explains.

# %% tags=["nbval-ignore-output"]
errors, priors, explained = {}, {}, {}
print(f"{'':10}{'error':>7}   95 % interval     prior    explained: pitch     yaw")
for domain, data in faces.items():
    guess = predict(model, data, from_band)
    errors[domain] = angular_error(guess, data.gaze)
    priors[domain] = gaze_error(data.head, data.gaze)
    pitch, yaw = explained[domain] = 1 - (guess - data.gaze).var(0) / data.gaze.var(0)
    interval = bootstrap_ci(errors[domain], clusters=data.person)
    print(f"{domain:10}{interval.mean:6.1f}°   [{interval.low:4.1f}, {interval.high:4.1f}]   {priors[domain]:6.1f}°   "
          f"{100 * pitch:14.0f} % {100 * yaw:6.0f} %")  # fmt: skip

# %%
assert errors["studio"].mean() < 0.85 * priors["studio"], "good at home"
for domain in ("wild", "laptop", "lab"):
    assert errors[domain].mean() > priors[domain], domain
print("At home the network is well ahead of the prior. Abroad, taking the head pose for the gaze does better.")

# %% [markdown]
# Mind the two columns. In *laptop* the error in degrees is smaller than at home, and yet the network explains nothing of
# how people look up and down there: gaze stays within a few degrees, and a guess would do as well. Degrees of different
# domains cannot be compared; a network can be compared with the prior of the same domain.
#
# ## 4 · What is different there?
# Two things change from one domain to another, and data sets change them together: **where** people are and look, and
# how it all **appears**. The renderer separates them. We take 40 faces from *studio* and give them, from another domain,
# one group of factors at a time: its poses and gaze; its people; what they wear; its light; its backgrounds; its cameras.

# %%
groups = ("place and direction", "people", "what they wear", "light", "background", "image quality")
chosen = torch.arange(40) * 7  # neighbors in the data set are different people
studio = faces["studio"].factors[chosen]
face_size = faces["studio"].images.shape[-1]
renderer = Renderer(face_size, "cpu")
shown = torch.tensor([3, 5, 11, 17])
lent = [studio[shown], *(borrow(studio[shown], faces["lab"].factors[chosen][shown], group) for group in groups)]
pictures = torch.stack([renderer.render(column)[0] for column in lent], dim=1).flatten(0, 1)
plotting.image_grid(
    pictures,
    ["as in studio", "place", "people", "wearables", "light", "background", "quality"]
    + [""] * (len(pictures) - len(lent)),
    "Four rows, each the same face seven times: first as in studio, then with lab's poses, people, wearables, light and "
    "background, and last with lab's image quality, which blurs it.",
    columns=len(lent),
)

# %% tags=["nbval-ignore-output"]
model.cpu().eval()


def gaze_of(images: Tensor) -> Tensor:
    """What the network says of faces [B, 3, H, W] in [0, 1]."""
    return model(band.cut(images))


def errors_of(factors: Factors) -> Tensor:
    """Its error on drawn faces [N], degrees."""
    true, guess = predictions(gaze_of, factors, face_size, device="cpu")
    return angular_error(guess, true)


before = errors_of(studio)
rises = {}
for domain in ("laptop", "lab"):
    others = faces[domain].factors[chosen]
    rises[domain] = {group: errors_of(borrow(studio, others, group)) - before for group in groups}

fig = Figure(figsize=(8.6, 3.2), layout="constrained")
for ax, (domain, by_group) in zip(fig.subplots(1, 2, sharey=True), rises.items(), strict=True):
    intervals = [bootstrap_ci(rise, clusters=studio.person) for rise in by_group.values()]
    means = np.array([i.mean for i in intervals])
    reach = np.array([[i.mean - i.low, i.high - i.mean] for i in intervals]).T
    ax.barh(groups, means, xerr=reach, color=plotting.PALETTE[0], ecolor="0.3", capsize=3)
    ax.axvline(0, color="0.3", lw=1)
    ax.set(
        ylim=(len(groups) - 0.5, -0.5), title=f"studio with something of {domain}", xlabel="rise of the error (degrees)"
    )
plotting.show(
    fig,
    "Two bar charts: by how many degrees the error on studio's faces rises with each group of factors from laptop, and "
    "from lab. Lab's image quality stands out far above everything else; from laptop no single group does.",
)

# %%
mean = {domain: {group: rise.mean().item() for group, rise in by.items()} for domain, by in rises.items()}
assert max(mean["lab"], key=mean["lab"].get) == "image quality"
assert mean["lab"]["image quality"] > 1.3 * max(mean["laptop"].values())
assert mean["lab"]["light"] < 0.5 * mean["lab"]["image quality"]
print("Lab is hard because of its cameras, not because of its light.")

# %% [markdown]
# So the gap between *studio* and *lab* has mainly one cause: a VGA camera. *Studio* has no blurred face in it, and a
# network cannot learn to live with what it never saw. Keep this in mind for notebook 06: a method that makes features
# forget what varies **in the source domain** can do nothing about what does not vary there.
#
# ## 5 · One factor at a time
# Groups can be taken apart further. A *counterfactual* face is the same person in the same pose, looking at the same
# point, with one thing changed. Since each face is compared with itself, hard faces cancel, and a few dozen are enough.
#
# **Your turn** (●●○ · 10 min). For every change, by how many degrees does the error of each face rise? `render` draws
# images of factors, `predict` gives gaze (pitch, yaw) for images, `changes` holds functions from factors to changed
# factors by name. `angular_error` is there to use.


# %% exercise: counterfactual_errors
def counterfactual_errors(
    predict: Callable[[Tensor], Tensor],
    render: Callable[[Factors], Tensor],
    factors: Factors,
    gaze: Tensor,
    changes: dict[str, Callable[[Factors], Factors]],
) -> dict[str, Tensor]:
    """Rise of the error of each face [N], in degrees, by name of the change."""
    # --- stub
    raise NotImplementedError
    # --- solution
    before = angular_error(predict(render(factors)), gaze)
    rises = {}
    for name, change in changes.items():
        after = angular_error(predict(render(change(factors))), gaze)
        rises[name] = after - before
    return rises


# %%
counterfactual_errors = check.counterfactual_errors(counterfactual_errors)

# %% tags=["nbval-ignore-output"]
few = studio[torch.arange(16)]
with torch.no_grad():
    yours = counterfactual_errors(
        gaze_of,
        lambda factors: renderer.render(factors)[0],
        few,
        faces["studio"].gaze[chosen][:16],
        {"sunglasses": CHANGES["sunglasses"], "out of focus": CHANGES["out of focus"]},
    )
for name, rise in yours.items():
    print(f"{name:14}{rise.mean():+6.1f}°, from {rise.min():+.1f}° to {rise.max():+.1f}°")

# %% [markdown]
# The library's version does the same in batches, leaves out faces that a change does not alter (who wears sunglasses
# already), and adds intervals over people. Beside the rise of the error it measures how far the prediction *moves*,
# which needs no label.

# %% tags=["nbval-ignore-output"]
effects = counterfactuals(gaze_of, studio, CHANGES, face_size, device="cpu")
for name, effect in sorted(effects.items(), key=lambda item: -item[1].error.mean):
    error, moved = effect.error, effect.moved
    print(f"{name:26}{error.mean:+6.1f}° [{error.low:+5.1f}, {error.high:+5.1f}]   moved {moved.mean:4.1f}°   "
          f"{effect.faces:2} faces")  # fmt: skip

# %%
assert all(effect.moved.mean > 0.5 for effect in effects.values())
assert effects["low resolution"].error.low > effects["sensor noise"].error.mean
assert effects["low resolution"].error.mean > effects["dark skin"].error.mean
print("Every change moves the gaze that the network sees, although nobody moved an eye.")

# %% [markdown]
# Hats and sunglasses hide what is needed, so some loss is unavoidable. But a full beard, or darker skin, hides nothing
# of the eyes. A network that answers differently because of them has mixed up what gaze is with what people look like.
#
# ## 6 · What do features know?
# If beards move the prediction, beards must be in the features $Z$. A **probe** finds out: freeze the network, and let
# the simplest model that there is read a factor from $\bar Z$. A linear one will do,
#
# $$\hat W = \arg\min_W \lVert X W - Y \rVert^2 + \lambda \lVert W \rVert^2
#   = (X^\top X + \lambda I)^{-1} X^\top Y ,$$
#
# with standardized features and a column of ones in $X$, and one column per class in $Y$. The probe learns from some
# people and is judged on **others**: or it would know that person 7 has a beard, and find person 7 again. (All of them
# are people whose faces the network was trained on, for there are enough of these. Gaze is read a little too well.)
#
# **Your turn** (●●○ · 12 min). `train` is True for the rows the probe may learn from. Return its accuracy on the others.


# %% exercise: linear_probe
def linear_probe(features: Tensor, labels: Tensor, train: Tensor, ridge: float = 1.0) -> float:
    """Accuracy of a linear probe on the rows [N] that are not in ``train``; features [N, D], labels [N] int64."""
    # --- stub
    raise NotImplementedError
    # --- solution
    x = (features - features[train].mean(0)) / features[train].std(0)
    x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
    y = one_hot(labels).to(x)
    a = x[train].T @ x[train] + ridge * torch.eye(x.shape[1])
    w = torch.linalg.solve(a, x[train].T @ y[train])
    guesses = (x[~train] @ w).argmax(1)
    return (guesses == labels[~train]).float().mean().item()


# %%
linear_probe = check.linear_probe(linear_probe)

# %% tags=["nbval-ignore-output"]
features = {domain: features_of(model, data, "backbone", forward=from_band) for domain, data in faces.items()}
crowd = people.subset(torch.arange(len(people) // 3))
sight = features_of(model, crowd, "backbone", forward=from_band)
is_dark = (crowd.factors.skin_tone > 0.5).long()
train = torch.isin(crowd.person, torch.tensor(crowd.people[::2]))
accuracy = linear_probe(sight, is_dark, train)
chance = max(is_dark[~train].float().mean().item(), 1 - is_dark[~train].float().mean().item())
print(
    f"dark or light skin, of people whom the probe has not seen: {accuracy:.0%} right; the larger group is {chance:.0%}"
)

# %% [markdown]
# The library probes for every factor that the renderer knows. A score of 1 means read perfectly, 0 not at all: for
# classes the accuracy beyond chance, for quantities the share of the variance. Identity is the one factor for which
# the same people must be in both parts; it is split by image.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(1)
fresh = network.build(size_of_profile()).eval()
factors = ["gaze pitch", "gaze yaw", "head yaw", "identity", "sex", "skin tone", "glasses", "beard", "light direction"]
tables = {
    "trained on gaze": leakage(sight, crowd, factors, folds=3),
    "not trained": leakage(features_of(fresh, crowd, "backbone", forward=from_band), crowd, factors, folds=3),
}
names = list(tables["trained on gaze"])
for name, reason in tables["trained on gaze"].left_out.items():
    print(f"no probe for {name}: {reason}")
fig = Figure(figsize=(8.2, 4.6), layout="constrained")
ax = fig.subplots()
for offset, (label, table), marker in zip((-0.15, 0.15), tables.items(), ("o", "s"), strict=True):
    x = np.array([table[name].score for name in names])
    reach = np.array([[table[n].score - table[n].low, table[n].high - table[n].score] for n in names]).T
    style = {"color": plotting.PALETTE[0 if marker == "o" else 1], "marker": marker}
    ax.errorbar(x, np.arange(len(names)) + offset, xerr=reach.clip(0), linestyle="", capsize=2, label=label, **style)
ax.axvline(0, color="0.5", lw=1)
ax.set(yticks=range(len(names)), yticklabels=names, xlabel="score of a linear probe (1: perfect, 0: nothing)")
ax.set_xlim(left=-0.2, right=1.02)
ax.invert_yaxis()
ax.legend(loc="lower right")
plotting.show(
    fig,
    "How well each factor can be read from the features, with and without training. After training, gaze and head pose "
    "are read almost perfectly; identity, glasses and the direction of the light can still be read well above zero.",
)

# %%
score = {name: probe.score for name, probe in tables["trained on gaze"].items()}
assert score["gaze yaw"] > 0.8
assert score["gaze yaw"] > tables["not trained"]["gaze yaw"].score
assert score["identity"] > 0.05
assert score["light direction"] > 0.05
print("Trained on nothing but gaze, the features still tell who it is, where the light comes from, and more.")

# %% [markdown]
# Training for gaze did not make the network forget. It had no reason to: nothing in the loss speaks of what $Z$ should
# *not* hold. Compare the two marks of each row. Gaze and the head rise. Who it is and where the light comes from can be
# read about as well as from random weights; in our run glasses rose, which lie where the network must look, and skin
# tone fell. The intervals are wide where people count and not images: there are only 40 of them.
#
# ## 7 · Domains in the space of features
# A map of the features of all domains: each dot is a face, and neighbors have similar features. Color the dots by
# domain, then by yaw, and point at the dots that lie apart.

# %% tags=["nbval-ignore-output"]
rows = {domain: torch.arange(0, len(data), 3) for domain, data in faces.items()}
cloud = torch.cat([features[domain][rows[domain]] for domain in DOMAINS])
part = {domain: faces[domain].subset(rows[domain]) for domain in DOMAINS}
colors = {
    "domain": [domain for domain in DOMAINS for _ in rows[domain]],
    "gaze yaw (degrees)": torch.rad2deg(torch.cat([part[domain].gaze[:, 1] for domain in DOMAINS])),
    "gaze pitch (degrees)": torch.rad2deg(torch.cat([part[domain].gaze[:, 0] for domain in DOMAINS])),
    "blur (share of the width)": torch.cat([part[domain].factors.defocus for domain in DOMAINS]),
}
explorer = FeatureExplorer({"Z": umap_embedding(cloud)}, colors, torch.cat([part[domain].images for domain in DOMAINS]))
explorer.show()

# %%
agreement = {name: neighborhood_agreement(cloud, values) for name, values in colors.items()}
true_gaze = torch.cat([part[domain].gaze for domain in DOMAINS])
by_gaze_alone = neighborhood_agreement(true_gaze, colors["domain"])
assert agreement["domain"] > 0.2
assert agreement["gaze yaw (degrees)"] > 0.3
assert by_gaze_alone > 0.3
print("Neighbors share their gaze, and their domain too. But so do neighbors by the true gaze.")

# %% [markdown]
# Islands of domains on a map are often shown as proof that features know where a picture was taken. Here the labels
# themselves make such islands: sort the faces by their *true* gaze, without any network, and neighbors still share
# their domain much more often than by chance, because people look elsewhere in *laptop* than in *studio*. A map of
# domains that look in different directions proves nothing about light or cameras. The counterfactual faces of section 5
# do, for in them nothing but one factor differs.

# %% [markdown]
# ## What held
# | claim | here, on rendered faces |
# |:--|:--|
# | A network that is good at home loses in other domains | yes: ahead of the head-pose prior in *studio*, behind it in all three others |
# | Features learned for gaze hold much that is not gaze (Cheng et al. 2022) | yes: identity, light, glasses and more can be read from them |
# | Light and identity are what hurts across domains | **not here**: *lab*'s cameras hurt most by far, its light and its people by nothing that 40 faces could show (section 4). A dark room or darker skin alone does hurt (section 5), but less than blur |
#
# ## From the idea to the code
# | idea | symbol | where |
# |:--|:--|:--|
# | features and gaze | $Z = E(I)$, $g = F(Z)$ | `models.ResNetGaze` |
# | what the network sees | $I$ | `crops.Band`, `cross_domain.face_band` |
# | groups of factors from another domain | | `analysis.counterfactual.borrow` |
# | one changed factor | | `analysis.counterfactual.counterfactuals` |
# | linear probe | $\hat W$ | `analysis.probes.probe`, `analysis.probes.leakage` |
#
# ## Questions
# 1. "A cap" raises the error a lot, although it hides no eye. Look at the band in section 2: what does the network lose?
# 2. The effect of all groups together is not the sum of their effects. Why?
# 3. A probe that reads skin tone shows that it is in $Z$. Does it show that the gaze head uses it? Which experiment would?
# 4. Why may the probe for identity not be split by person, and the one for age not by image?
#
# **Further exercises.** Blur half of the training faces at random (`torchvision.transforms.v2.GaussianBlur`) and repeat
# section 4: how much of *lab*'s gap is left, and what does it cost at home? Train on *wild* instead, and draw section 4
# again. Probe after each of the ResNet's four stages.
#
# ## References
# - Y. Cheng, Y. Bao, F. Lu. PureGaze: purifying gaze feature for generalizable gaze estimation. AAAI 2022.
# - K. He, X. Zhang, S. Ren, J. Sun. Deep residual learning for image recognition. CVPR 2016.
# - G. Alain, Y. Bengio. Understanding intermediate layers using linear classifier probes. ICLR Workshops 2017.
# - X. Zhang et al. ETH-XGaze. ECCV 2020. P. Kellnhofer et al. Gaze360. ICCV 2019.
