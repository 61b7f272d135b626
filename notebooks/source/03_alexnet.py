# %% [markdown]
# # 03 · AlexNet
#
# In 2012 one network cut the error of image recognition from 26 to 15 % and made everybody change their tools. Five
# years later it still carried the network that this course builds next. Here you take it apart: what each layer
# computes, costs and sees; why its pictures are 227 pixels wide; why it has two towers. Then you turn it from a
# classifier of things into a regressor of gaze, and train the baselines that Full-Face had to beat.
#
# | | |
# |:--|:--|
# | **You will learn** | convolution arithmetic, parameters and groups, receptive fields, replacing a head, training a gaze network on eyes |
# | **Time** | 40 minutes to read, 29 for four exercises |
# | **Hardware** | two CPU cores, under three minutes of computing |
# | **You need** | notebooks 00 to 02 |

# %%
import json

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from gazecourse import plotting
from gazecourse.angles import angular_error
from gazecourse.comparison import METHODS, Recipe, fit, from_eyes, regress_head_pose
from gazecourse.crops import eye_crops
from gazecourse.exercises.alexnet import check
from gazecourse.faces.dataset import FaceDataset
from gazecourse.metrics import bootstrap_ci, gaze_error
from gazecourse.models import AlexNet
from gazecourse.models.layers import layer_table, layers
from gazecourse.models.pretrained import load_imagenet
from gazecourse.paths import RESULTS
from gazecourse.profiles import pick
from gazecourse.training import predict
from gazecourse.widgets.convolution_calculator import ConvolutionCalculator
from gazecourse.widgets.live_curve import LiveCurve

plotting.use_style()

# %% [markdown]
# ## 1 · The question
# A face goes in as 154,587 numbers (227 × 227 pixels, three colors). Two numbers should come out: pitch and yaw. What
# lies between? Here is a face as five units see it, each in a deeper layer of AlexNet. You will compute the size of
# these windows yourself in section 4.

# %%
faces = FaceDataset("laptop", "test")
face = nn.functional.interpolate(faces[3].float_image()[None], (227, 227), mode="bicubic", antialias=True)[0].clamp(
    0, 1
)
windows = {"conv1": 11, "conv2": 51, "conv3": 99, "conv4": 131, "conv5": 163}

fig = Figure(figsize=(9.6, 2.3), layout="constrained")
for ax, (name, window) in zip(fig.subplots(1, 5), windows.items(), strict=True):
    ax.imshow(face.permute(1, 2, 0), alpha=0.35)
    low = round(113.5 - window / 2)
    ax.imshow(
        face[:, low : low + window, low : low + window].permute(1, 2, 0), extent=(low, low + window, low + window, low)
    )
    ax.add_patch(
        Rectangle((low, low), window, window, fill=False, edgecolor=plotting.COLORS["vermillion"], linewidth=2)
    )
    ax.set(xlim=(0, 227), ylim=(227, 0), title=f"{name}: {window} px")
    ax.set_axis_off()
plotting.show(
    fig,
    "One face five times. A growing square in its middle shows what a single unit of conv1 to conv5 sees: first a bit of "
    "the nose, 11 pixels wide, at last nearly the whole face, 163 pixels wide.",
    photo=True,
)

# %% [markdown]
# ## 2 · Where the kernel lands
# A convolution moves a small window over its input, $s$ pixels at a time. With input size $n$, kernel size $k$ and $p$
# rows of zeros added on either side, the last position must still fit:
#
# $$n_\text{out} = \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1 .$$
#
# **Your turn** (●○○ · 5 min). Write it down. Pooling follows the same rule.


# %% exercise: conv_output_size
def conv_output_size(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Positions of a kernel along an axis of ``size`` pixels, with ``padding`` on both sides."""
    # --- stub
    raise NotImplementedError
    # --- solution
    return (size + 2 * padding - kernel) // stride + 1


# %%
conv_output_size = check.conv_output_size(conv_output_size)

# %% [markdown]
# Now watch it. The bars are the places where the kernel lands. Set the size to 224, the number that the 2012 paper
# prints: $(224 - 11)/4 = 53.25$ is no whole number, one pixel at the edge is never read, and the 55 × 55 maps that the
# paper describes do not come out. 227 gives exactly 55. The paper's text and its own code disagree here, and the code
# had 227.

# %% tags=["nbval-ignore-output"]
ConvolutionCalculator(size=227, channels=3, kernel=11, stride=4, filters=96).show()

# %%
for size in (224, 227):
    print(f"{size} pixels: maps of {conv_output_size(size, 11, 4)} × {conv_output_size(size, 11, 4)}")
assert conv_output_size(227, 11, 4) == 55

# %% [markdown]
# ## 3 · Parameters, and why two towers
# A filter of a $k \times k$ convolution sees all $C$ maps below it, so it has $C k^2$ weights and a bias. In 2012 a
# graphics card held 3 GB, too little for AlexNet. So it was cut into two towers, one a card. In conv2, conv4 and conv5
# a filter sees only the maps on its own card. Such a convolution is **grouped**: with $g$ groups, each filter sees
# $C/g$ maps.
#
# **Your turn** (●○○ · 6 min). Count the parameters of a convolution with square kernels, biases included.


# %% exercise: conv_parameters
def conv_parameters(in_channels: int, out_channels: int, kernel: int, groups: int = 1) -> int:
    """Weights and biases of ``out_channels`` filters, in ``groups`` groups; ``groups`` divides both channel numbers."""
    # --- stub
    raise NotImplementedError
    # --- solution
    weights = out_channels * (in_channels // groups) * kernel * kernel
    return weights + out_channels


# %%
conv_parameters = check.conv_parameters(conv_parameters)

# %%
for name, inside, outside, kernel in (("conv2", 96, 256, 5), ("conv4", 384, 384, 3), ("conv5", 384, 256, 3)):
    two, one = conv_parameters(inside, outside, kernel, 2), conv_parameters(inside, outside, kernel, 1)
    print(f"{name}: {two:9,} parameters in two towers, {one:9,} in one")

# %% [markdown]
# What began as a way around small memory stayed: MobileNet takes as many groups as there are channels, and the small
# `GazeNet` of notebook 04 is built on it.
#
# ## 4 · What a unit sees
# The **receptive field** of a unit is the part of the image that can change its value. One layer with kernel $k$
# widens the field of its input by $k - 1$ steps; but a step in a deep layer is many pixels, for every stride below
# has multiplied it. That product of all strides so far is called the jump $j$:
#
# $$r \leftarrow r + (k - 1)\, j, \qquad j \leftarrow j \cdot s, \qquad \text{beginning with } r = j = 1 .$$
#
# **Your turn** (●●○ · 10 min). How many pixels across does one value after the last layer see?


# %% exercise: receptive_field
def receptive_field(layers: list[tuple[int, int]]) -> int:
    """Pixels across that one output sees; ``layers`` holds (kernel, stride) of each layer, from input to output."""
    # --- stub
    raise NotImplementedError
    # --- solution
    extent = jump = 1  # what one value sees, and how far apart two neighbors are
    for kernel, stride in layers:
        extent += (kernel - 1) * jump
        jump *= stride
    return extent


# %%
receptive_field = check.receptive_field(receptive_field)

# %%
alexnet_layers = {
    "conv1": (11, 4), "pool1": (3, 2), "conv2": (5, 1), "pool2": (3, 2),
    "conv3": (3, 1), "conv4": (3, 1), "conv5": (3, 1), "pool5": (3, 2),
}  # fmt: skip
names, sizes = list(alexnet_layers), list(alexnet_layers.values())
fields = {name: receptive_field(sizes[: number + 1]) for number, name in enumerate(names)}
print(", ".join(f"{name} {field}" for name, field in fields.items()))
assert all(fields[name] == window for name, window in windows.items())

# %% [markdown]
# In a face of 227 pixels an eye is some 34 pixels wide, and its outer corners are 108 apart. So a unit of conv2 can see
# one eye, one of conv4 both at once, and one of conv5 where the nose points besides.
#
# ## 5 · The whole network
# `AlexNet()` is the network of 2012, `AlexNet(form="one_tower")` the later form that torchvision ships. This is the
# first. All your formulas are in this table.

# %%
network = AlexNet()
print(layer_table(layers(network, 227)))

# %% [markdown]
# Look at the last column but one, then at the parameters: the convolutions do 92 % of the arithmetic and hold 4 % of
# the parameters. The first fully connected layer alone holds 38 of the 61 million. Remember this when Full-Face
# feeds it maps of twice the size.

# %%
convolutions = [layer for layer in layers(network, 227) if layer.kind == "Conv2d"]
parameters, work = sum(p.numel() for p in network.parameters()), sum(x.multiply_adds for x in layers(network, 227))
print(f"convolutions: {100 * sum(x.parameters for x in convolutions) / parameters:.0f} % of {parameters:,} parameters, "
      f"{100 * sum(x.multiply_adds for x in convolutions) / work:.0f} % of the multiply-adds")  # fmt: skip
del network

# %% [markdown]
# ## 6 · From classes to angles
# The last layer of a classifier asks "how much does this look like class $i$?", a thousand times. For gaze we want two
# numbers, and everything before may stay: edges, textures and shapes are useful whatever the question. This is
# *transfer learning*. Full-Face starts from ImageNet weights too.
#
# **Your turn** (●●○ · 8 min). Replace the last layer by one with two outputs and leave everything before it as it was
# learned. Draw the new weights small, from N(0, 0.01), and set the biases to zero: then the first predictions are close
# to straight ahead, and the first steps of training do not tear down what the layers below have learned.


# %% exercise: gaze_regressor
def gaze_regressor(network: AlexNet) -> AlexNet:
    """The network (1000 classes) with two outputs, (pitch, yaw), instead; all of it goes on learning."""
    # --- stub
    raise NotImplementedError
    # --- solution
    layer = nn.Linear(network.classifier[-1].in_features, 2)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    network.classifier[-1] = layer
    return network


# %%
gaze_regressor = check.gaze_regressor(gaze_regressor)

# %% tags=["nbval-ignore-output"]
network = AlexNet(form="one_tower")
print(load_imagenet(network, "alexnet"))
network = gaze_regressor(network).eval()

# %%
with torch.no_grad():
    guess = torch.rad2deg(network(nn.functional.interpolate(face[None], (224, 224), antialias=True, mode="bilinear")))
assert guess.shape == (1, 2)
assert guess.abs().max() < 90
print("one face in, two numbers out: (pitch, yaw); they mean nothing yet")
del network

# %% [markdown]
# The line above says whether these are ImageNet's weights. Without a network connection they are random, and the
# course goes on: its own experiments start from random weights and learn from rendered faces.
#
# A network should refuse what it cannot understand. Bytes instead of [0, 1], colors last, a wrong size: all of these
# run without a word in many programs, and give nonsense.

# %%
small = AlexNet(2, size=112, width=0.25, stride=2)
for wrong in (torch.full((1, 3, 112, 112), 200.0), torch.zeros(1, 112, 112, 3), torch.zeros(1, 3, 100, 100)):
    try:
        small(wrong)
    except ValueError as error:
        print(f"✗ {str(error).split('. ')[0]}.")

# %% [markdown]
# ## 7 · Gaze from eyes
# Before Full-Face, gaze networks looked at the eyes alone. We train two of these baselines on AlexNet's
# convolutions, at a quarter of its width so that two CPU cores do it in seconds: one sees the right eye, the other
# both. What they see are crops of 36 × 60 pixels:

# %%
people = FaceDataset("laptop", "train")
crops = eye_crops(people.images[:8].float() / 255, people.landmarks[:8])
plotting.image_grid(
    torch.cat(crops),
    None,
    "Two rows of eight eye crops: right eyes above, the same people's left eyes below. Lids, iris and the corner of the "
    "eye are visible, some blurred, some behind glasses.",
)

# %% [markdown]
# Half of the faces are mirrored in training, and the eye corners err by a pixel as a detector's would. The dashed line
# is the error of taking the head's direction for the gaze. Neither network is told the head's direction.

# %% tags=["nbval-ignore-output"]
recipe = Recipe(epochs=pick(quick=6, full=15))
prior = gaze_error(faces.head, faces.gaze)
predictions = {}
for name in ("single eye", "two eyes"):
    model, _ = fit(
        METHODS[name],
        people,
        recipe,
        evaluate=lambda model: {"unseen people": gaze_error(predict(model, faces, from_eyes), faces.gaze)},
        observer=LiveCurve(name, references={"head pose taken as gaze": prior}),
    )
    predictions[name] = predict(model, faces, from_eyes)

# %% [markdown]
# What the first layer has learned: these are the filters of conv1 on the left eye. Before training they were noise.

# %% tags=["nbval-ignore-output"]
filters = model.features["left"][0].weight.detach()
low, high = filters.amin((1, 2, 3), keepdim=True), filters.amax((1, 2, 3), keepdim=True)
plotting.image_grid(
    (filters - low) / (high - low),
    None,
    "The 24 filters of the first convolution, 11 by 11 pixels each: some show light and dark bars or a soft edge, "
    "many still look like the noise that they began as.",
    columns=12,
)

# %%
regression = regress_head_pose(people.head, people.gaze)
predictions = {"head pose": faces.head, "linear regression": regression(faces.head), **predictions}
errors = {name: angular_error(predicted, faces.gaze) for name, predicted in predictions.items()}
assert errors["two eyes"].mean() < 0.9 * errors["head pose"].mean()
assert errors["two eyes"].mean() < 0.95 * errors["linear regression"].mean()
print("On people it never saw, the network with two eyes beats the head pose and a regression from it.")

# %% tags=["nbval-ignore-output"]
print(f"{'this run, unseen people':26}{'error':>8}   95 % interval over people")
for name, error in errors.items():
    interval = bootstrap_ci(error, clusters=faces.person)
    print(f"{name:26}{interval.mean:7.2f}°   [{interval.low:.2f}, {interval.high:.2f}]")

# %%
assert len(errors) == 4

# %% [markdown]
# ## 8 · The same, measured properly
# One run on ten people is an anecdote. `benchmarks/full_face.py` deals all 40 training people into four groups, leaves
# out one at a time, trains on the others, and repeats everything with three seeds. Every number below is about
# people whom the network had not seen; the intervals are over people.

# %%
record = json.loads((RESULTS / "full_face.json").read_text())
recipe_used = record["recipe"]
print(f"{record['profile']} profile, {record['domain']}: {record['images']} images of {record['people']} people, "
      f"{record['groups']} groups, {len(record['seeds'])} seeds, {recipe_used['epochs']} epochs")  # fmt: skip
for name in ("head pose", "linear regression", "single eye", "two eyes", "two eyes and head pose"):
    error, low, high = record["methods"][name]["error"]
    print(f"{name:26}{error:6.2f}° [{low:.2f}, {high:.2f}]")

# %% [markdown]
# Eyes tell more than the head: even one eye beats the regression from the head pose. The second eye removes another
# degree, and the head pose another 0.8: the eyes say where the eyeballs point in the head, the head pose says where the
# head points, and gaze is the sum. Without being told, the network reads the head from the shape of the eye region.


# %%
def apart(better: str, worse: str) -> bool:
    """Whether the 95 % intervals of two methods do not overlap."""
    return record["methods"][better]["error"][2] < record["methods"][worse]["error"][1]


assert apart("single eye", "linear regression")
assert apart("two eyes", "single eye")
assert apart("two eyes and head pose", "two eyes")

# %% [markdown]
# ## What held
# | claim | here |
# |:--|:--|
# | AlexNet in two towers has the parameters that follow from the paper's table | yes: 60,965,224 |
# | Its input is 224 × 224, as the paper prints | no: 55 × 55 maps need 227 |
# | Eyes tell more than the head pose | yes: every network on eyes beats the head pose and the regression from it, intervals apart |
# | Two eyes tell more than one | yes, by a degree |
# | Gaze from eyes needs the head pose besides | it helps by 0.8°; here the head pose is exact, which no real system has |
#
# ## From the paper to the code
# | paper | symbol | where |
# |:--|:--|:--|
# | five convolutional layers (Krizhevsky et al. 2012, section 3.5) | conv1 … conv5 | `models.alexnet.alexnet_features` |
# | two towers (section 3.2) | groups | `models.alexnet.FORMS` |
# | dropout in the first two fully connected layers (section 4.2) | | `models.alexnet.AlexNet.classifier` |
# | output size, parameters, receptive field | $n_\text{out}$, $C k^2$, $r$ | `models.layers` |
# | ImageNet weights | | `models.pretrained.load_imagenet` |
# | gaze from eyes (Zhang et al. 2015) | | `models.eyes.EyeNet`, `crops.eye_crops` |
#
# The paper also normalizes conv1 and conv2 across neighboring maps (local response normalization, section 3.3). It has no
# parameters; later networks did as well without it, and torchvision leaves it out. So does this course.
#
# ## Questions
# 1. Why does padding of 2 with a kernel of 5 keep the size? Which padding does a kernel of 7 need?
# 2. Two 3 × 3 convolutions see as much as one 5 × 5. Which has fewer parameters, for 64 maps in and out?
# 3. The eyes tell where the eyeballs point *in the head*. How can the network with two eyes and no head pose guess where
#    the head points?
# 4. Our eye crops are enlarged from a face of 112 pixels. Which information can they not hold, however large they are?
#
# **Further exercises.** Train `METHODS["two eyes"]` with the left crop mirrored and shared weights: does half of the
# parameters do as well? Replace conv1's 11 × 11 by two 3 × 3 with stride 1 and 2, and compare the tables of section 5.
#
# ## References
# - A. Krizhevsky, I. Sutskever, G. E. Hinton. ImageNet classification with deep convolutional neural networks. NIPS 2012.
# - K. He, X. Zhang, S. Ren, J. Sun. Delving deep into rectifiers. ICCV 2015.
# - X. Zhang, Y. Sugano, M. Fritz, A. Bulling. Appearance-based gaze estimation in the wild. CVPR 2015.
# - X. Zhang, Y. Sugano, M. Fritz, A. Bulling. It's written all over your face. CVPR Workshops 2017.
