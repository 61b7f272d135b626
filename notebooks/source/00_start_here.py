# %% [markdown]
# # 00 · Start here

# %%
import torch
from torch import Tensor

from gazecourse.exercises.start import check

# %% [markdown]
# **Your turn** (●○○ · 5 min). Average angles.

# %% exercise: mean_angle
def mean_angle(angles: Tensor) -> Tensor:
    """The mean of directions given as angles in radians, shape [N] → a scalar in (-π, π]."""
    # --- stub
    raise NotImplementedError
    # --- solution
    return torch.atan2(angles.sin().mean(), angles.cos().mean())

# %%
mean_angle = check.mean_angle(mean_angle)

# %%
print(f"{torch.rad2deg(mean_angle(torch.deg2rad(torch.tensor([10.0, -20.0, 16.0])))):.2f}°")
