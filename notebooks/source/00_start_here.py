# %% [markdown]
# # 00 · Start here
#
# Where is this person looking? A camera, a face, and a network that answers in degrees: that is
# appearance-based gaze estimation. In this course you build four published systems for it, piece by piece, and
# test what their papers claim on faces that the course renders for you. You need no account, no download form
# and no GPU.
#
# | | |
# |:--|:--|
# | **You will learn** | what the four systems are, how a notebook of this course works, whether your machine is ready |
# | **Time** | 20 minutes, one exercise |
# | **Hardware** | any two CPU cores |
# | **You need** | Python, a little PyTorch (tensors, modules, a training loop), and linear algebra up to rotations |
#
# Run a cell with **Shift + Enter**. Run the cells in order: each builds on those above it.

# %%
import torch
from IPython.display import Markdown, display
from torch import Tensor, nn

from gazecourse import course, diagrams, doctor, plotting
from gazecourse.exercises.start import check
from gazecourse.faces.dataset import FaceDataset
from gazecourse.metrics import gaze_error
from gazecourse.profiles import profile
from gazecourse.training import Settings, train
from gazecourse.widgets.live_curve import LiveCurve

plotting.use_style()

# %% [markdown]
# ## 1 · Is this machine ready?
# The doctor says what is installed, what is missing and how to get it. Lines with → need you; nothing else does.
# What is stored below is from the computer on which the course was made.

# %% tags=["nbval-ignore-output"]
ready = doctor.report()

# %%
assert ready, "The doctor found something to put right: see the lines with → above."

# %% [markdown]
# ## 2 · Where are they looking?
# These people do not exist. The course renders them, from a 3D head with eyes that rotate, in four kinds of places:
#
# - **studio**: sharp pictures, every pose of the head (as ETH-XGaze),
# - **wild**: far away, small and blurred, people who also turn away (as Gaze360),
# - **laptop**: everyday rooms, a webcam, eyes on a screen (as MPIIFaceGaze),
# - **lab**: one fixed camera and light (as EyeDiap).
#
# Eight pictures from each. Where does each of these people look?

# %%
faces = {name: FaceDataset(name, "test") for name in ("studio", "wild", "laptop", "lab")}
some = slice(40, 48)
images = torch.cat([data.images[some] for data in faces.values()])
titles = [title for name in faces for title in (name, *[""] * 7)]
plotting.image_grid(images, titles, "Four rows of eight rendered faces: studio, wild, laptop and lab.")

# %% [markdown]
# And the answers. The renderer knows them to the last digit, as it knows the light, the glasses, the age and
# everything else about each picture.

# %%
plotting.image_grid(
    images,
    titles,
    "The same faces. An arrow from between the eyes shows where each person looks.",
    gaze=torch.cat([data.gaze[some] for data in faces.values()]),
    centers=torch.cat([data.landmarks[some, 36:48].mean(1) for data in faces.values()]),
)

# %% [markdown]
# ## 3 · Four systems in one picture
# Each column is one published system, from the face at the top to its answer at the bottom. The colored letters
# say **which loss trains which part**, and that is most of what sets them apart.

# %%
plotting.show(diagrams.four_systems(), diagrams.FOUR_SYSTEMS_ALT)

# %% [markdown]
# - **Full-Face** (Zhang et al. 2017) asks whether the whole face tells more than the eyes. It learns a map of
#   weights $W$ that says where to look, and multiplies every feature map by it.
# - **PureGaze** (Cheng et al. 2022) asks why a model that is good on its own data fails on other people. It lets a
#   decoder redraw the face from the gaze feature, and trains the backbone to make that impossible: what cannot be
#   redrawn is no longer in the feature.
# - **CLIP-Gaze** (Yin et al. 2024) names what gaze is *not* ("glasses", "blur", "a beard") and pushes the gaze
#   feature away from those words.
# - **Structure-coherent landmarks** (Lin et al. 2021) finds the 68 points of a face with a graph network, so that a
#   hidden point can be guessed from its neighbors. Every gaze system needs such points to find the face in the
#   first place.
#
# Three of them are judged on the same question: **trained here, tested there, how many degrees off?** A data set of
# real faces cannot say *why* the answer gets worse. A renderer can: it knows the light, the glasses, the skin, the
# blur of every image, and can change one of them at a time.

# %% [markdown]
# ## 4 · An exercise
# Exercises look like the one below. The dots say how hard it is (●○○ to ●●●), the minutes what it should take.
# You replace `raise NotImplementedError`; the cell that follows checks your answer at once.
#
# - **○ not started.** You get the first hint, and the notebook goes on with the library's version. No exercise ever
#   blocks you: you can read a notebook to its end first and solve it afterwards.
# - **✗ not yet.** You are told the first thing that is wrong: a value, a shape, a gradient, or your line that raised
#   an error. Try again and you get one more hint each time; `check.hint("mean_angle")` gives one without trying.
# - **✓ right.** From here on the notebook runs on *your* code.
#
# Really stuck? `check.solution("mean_angle")` prints how we did it, and the folder `solutions` holds every notebook
# with all exercises solved.
#
# Here is one that everyone who works with directions gets wrong once. Two people turn away from the camera. One has
# turned by 179°, the other by −179°: they look the same way, 2° apart. `angles.mean()` says 0°, straight *into* the
# camera. Angles live on a circle, and the plain mean does not know it.
#
# **Your turn** (●○○ · 5 min). Write a mean that knows.


# %% exercise: mean_angle
def mean_angle(angles: Tensor) -> Tensor:
    """Mean direction of angles in radians, shape [N] → a scalar in [-π, π]."""
    # --- stub
    raise NotImplementedError
    # --- solution
    return torch.atan2(angles.sin().mean(), angles.cos().mean())


# %%
mean_angle = check.mean_angle(mean_angle)

# %% [markdown]
# The mean at work. Seen from above, four people (gray) have turned away from the camera, which is at the bottom. The
# plain mean looks straight into it although nobody does.

# %%
yaws = torch.deg2rad(torch.tensor([165.0, 150.0, -172.0, -148.0]))
plain, circular = torch.rad2deg(yaws.mean()), torch.rad2deg(mean_angle(yaws))
print(f"plain mean    {plain:7.1f}°")
print(f"circular mean {circular:7.1f}°")
plotting.show(
    diagrams.directions_from_above(yaws, {"plain mean": yaws.mean(), "circular mean": mean_angle(yaws)}),
    "Four arrows from one point, seen from above, all pointing away from the camera. The plain mean points straight "
    "at the camera, the circular mean into the middle of the four.",
)

# %% [markdown]
# ## 5 · Watch a run
# Everything that trains in this course is drawn while it trains. Here is the smallest gaze estimator there is: six
# numbers that turn the direction of the *head* into a guess of the gaze. It never sees an eye.
#
# Press **Stop** (or ■ in the toolbar) whenever you have seen enough: a run ends after the step at hand and keeps
# what it has. Controls like these work while a cell is busy. They are not saved with the notebook; what stays is an
# ordinary picture of the last state.
#
# The dashed line is the one to know: the error of taking the head's direction *as* the gaze. A network learns the
# head first and can stay there. In every gaze curve of this course the line shows whether it has seen the eyes.

# %% tags=["nbval-ignore-output"]
studio = {"train": FaceDataset("studio", "train"), "test": faces["studio"]}
prior = gaze_error(studio["test"].head, studio["test"].gaze)

torch.manual_seed(0)
model = nn.Linear(2, 2)
history = train(
    model,
    lambda model, batch: {"loss": (model(batch.head) - batch.gaze).abs().mean()},
    studio["train"],
    torch.optim.Adam(model.parameters(), lr=0.02),
    Settings(epochs=12, batch_size=100),
    evaluate=lambda model: {"unseen people": gaze_error(model(studio["test"].head), studio["test"].gaze)},
    observer=LiveCurve("head → gaze", references={"head pose taken as gaze": prior}),
)

# %%
_, errors = history.curve("unseen people")
assert abs(errors[-1] - prior) < 2.0, "six numbers and a head should end up near the line"
print("From the head alone, the error ends within 2° of the line. The rest is in the eyes.")

# %% [markdown]
# What you see is the **quick** profile: two CPU cores, every notebook in under four minutes. **full** is for a GPU
# and the papers' sizes: more people, larger images, longer runs. The profile changes numbers, never the code that
# you read. To change it, set the environment variable `GAZECOURSE_PROFILE=full` before you start JupyterLab.

# %%
people = len(studio["train"].people)
print(f"profile {profile()}: {len(studio['train'])} images of {people} people to train on, in each domain")

# %% [markdown]
# ## 6 · The course map
# Titles with a link are here.

# %%
display(Markdown(course.course_map()))

# %% [markdown]
# Each notebook follows one path: the question with a picture, the idea and its equation, the code in small cells
# that print shapes, exercises, an experiment that you watch while it trains, a table with intervals, and last which
# of the paper's claims held here and which did not.
#
# ## 7 · Where things are
#
# | in the picture above | in the code |
# |:--|:--|
# | angles, gaze vectors, errors in degrees | `gazecourse.angles`, `gazecourse.metrics` |
# | the camera that looks straight at a face | `gazecourse.normalization` |
# | the faces and their labels | `gazecourse.faces` |
# | figures, their style and descriptions | `gazecourse.plotting` |
# | the exercises, their checks and hints | `gazecourse.exercises` |
#
# ## Questions
# 1. In the picture, which parts of PureGaze are trained by two losses that disagree? Which loss does the decoder
#    never feel?
# 2. CLIP-Gaze has two frozen parts. What would go wrong if the separation loss could train the text encoder?
# 3. Your mean fails for two opposite directions, 0° and 180°. What does it return, and what should it say instead?
#
# ## References
# - X. Zhang, Y. Sugano, M. Fritz, A. Bulling. *It's Written All Over Your Face: Full-Face Appearance-Based Gaze
#   Estimation.* CVPR Workshops 2017.
# - Y. Cheng, Y. Bao, F. Lu. *PureGaze: Purifying Gaze Feature for Generalizable Gaze Estimation.* AAAI 2022.
# - P. Yin, G. Zeng, J. Wang, D. Xie. *CLIP-Gaze: Towards General Gaze Estimation via Visual-Linguistic Model.*
#   AAAI 2024.
# - C. Lin, B. Zhu, Q. Wang, R. Liao, C. Qian, J. Lu, J. Zhou. *Structure-Coherent Deep Feature Learning for Robust
#   Face Alignment.* IEEE Transactions on Image Processing 2021.
