"""Writes what MONAI makes of images on other grids: runtime/volume/tests/resample_to_match.json.

Run with MONAI 1.6.1 (`pip install monai nibabel`): python tests/reference/make_resample_to_match.py
"""

import json
import pathlib

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import ResampleToMatch


def image(shape, affine, seed):
    x, y, z = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    values = 100 * np.sin(0.9 * x + 0.4 * y + seed) + 10 * ((7 * x + 5 * y + 3 * z) % 4)
    return MetaTensor(torch.tensor(values[None], dtype=torch.float32), affine=torch.tensor(affine, dtype=torch.float64))


def rotated(spacing, angle, origin):
    c, s = np.cos(angle), np.sin(angle)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag(spacing)
    affine[:3, 3] = origin
    return affine


first = {"shape": [7, 9, 6], "affine": rotated([0.98, 0.98, 3.27], 0.0, [-3.0, 2.0, 10.0])}
others = [
    {"shape": [4, 5, 6], "affine": rotated([4.69, -4.69, 3.27], 0.0, [-6.0, 12.0, 10.0]), "seed": 1.0},
    {"shape": [8, 6, 9], "affine": rotated([1.1, 1.3, -2.1], 0.35, [-2.0, 1.0, 26.0]), "seed": 2.0},
]
target = image(first["shape"], first["affine"], 0.0)
for other in others:
    matched = ResampleToMatch()(image(other["shape"], other["affine"], other["seed"]), img_dst=target, dtype=np.float64)
    other["matched"] = [round(float(value), 5) for value in matched.numpy().ravel()]
    other["affine"] = other["affine"].tolist()
first["affine"] = first["affine"].tolist()
path = pathlib.Path(__file__).parents[2] / "runtime/volume/tests/resample_to_match.json"
path.write_text(json.dumps({"source": "MONAI 1.6.1 ResampleToMatch, double precision", "first": first, "others": others}) + "\n")
