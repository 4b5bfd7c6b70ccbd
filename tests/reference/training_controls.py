#!/usr/bin/env python3
"""Computes with MONAI what trainer/tests/training/training_controls/against_monai.rs expects.

These are intensity changes, turns, rotations, zooms and weighted losses.

Usage: training_controls.py > trainer/tests/training_controls.json
Inputs are formulas that both sides evaluate; see `wave` here and in the test. Needs: monai, torch, numpy.
"""
import json, math
import numpy as np, torch
from monai.losses import DiceCELoss, DiceFocalLoss
from monai.transforms import AdjustContrast, RandHistogramShift, Rotate, Rotate90, ScaleIntensityFixedMean, Zoom

def wave(count, a, b):
    return np.array([math.sin(a * i + b) + 0.01 * i for i in range(count)], dtype=np.float32)

def values(tensor):
    return [float(f"{v:.8g}") for v in torch.as_tensor(tensor).flatten().tolist()]

image = torch.from_numpy(wave(48, 0.7, 0.3).reshape(2, 2, 3, 4))
# Classes that name their voxel, for interpolations with the nearest one.
places = torch.arange(6 * 5 * 7, dtype=torch.float32).reshape(1, 6, 5, 7)
volume = torch.from_numpy(wave(420, 0.7, 0.3).reshape(2, 6, 5, 7))
out = {"intensity": [], "turns": [], "rotations": [], "zooms": [], "weighted_dice_ce": [], "weighted_dice_focal": []}
for shares in ([0.0, 0.1, 0.45, 0.5, 1.0], [0.0, 0.6, 1.0]):
    shift = RandHistogramShift(num_control_points=len(shares), prob=1.0)
    shift.randomize()
    shift.floating_control_points = np.array(shares)
    out["intensity"].append({"change": "shift_histogram", "shares": shares, "values": values(shift(image, randomize=False))})
for gamma, invert, retain in ((0.5, False, False), (2.7, False, False), (0.7, False, True), (1.5, True, True), (1.3, True, False)):
    changed = AdjustContrast(gamma, invert_image=invert, retain_stats=retain)(image)
    out["intensity"].append({"change": "adjust_contrast", "gamma": gamma, "invert": invert, "retain_stats": retain, "values": values(changed)})
for factor in (-0.3, 0.25):
    changed = ScaleIntensityFixedMean(factor=factor, fixed_mean=True)(image)
    out["intensity"].append({"change": "scale_around_mean", "factor": factor, "values": values(changed)})
for plane in ((0, 1), (0, 2), (2, 1)):
    for k in (1, 2, 3):
        turned = Rotate90(k, plane)(image)
        out["turns"].append({"plane": plane, "turns": k, "shape": list(turned.shape), "values": values(turned)})
def warped(transform, image_mode):
    return {"values": values(transform(mode=image_mode)(volume)), "classes": [int(v) for v in transform(mode="nearest")(places).flatten()]}
for angles in ((0.3, 0.0, 0.0), (0.0, -0.21, 0.0), (0.17, -0.29, 0.3)):
    rotate = lambda mode: Rotate(angles, keep_size=True, mode=mode, padding_mode="border", dtype=torch.float64)
    out["rotations"].append({"angles": angles, **warped(rotate, "bilinear")})
for factor in (0.8, 0.93, 1.12, 1.19):
    zoom = lambda mode: Zoom(factor, mode=mode, padding_mode="edge", keep_size=True, dtype=torch.float64)
    out["zooms"].append({"factor": factor, **warped(zoom, "trilinear")})
for weights in ([1.0, 1.0, 1.0], [0.2, 1.0, 3.0], [0.0, 2.0, 0.5]):
    logits = torch.from_numpy(wave(72, 1.3, -0.4).reshape(2, 3, 2, 3, 2) * 2).requires_grad_(True)
    target = torch.tensor([(i * i + i // 5) % 3 for i in range(24)]).reshape(2, 1, 2, 3, 2)
    loss = DiceCELoss(include_background=True, to_onehot_y=True, softmax=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5, weight=torch.tensor(weights))(logits, target)
    loss.backward()
    out["weighted_dice_ce"].append({"weights": weights, "loss": float(f"{loss.item():.8g}"), "gradient": values(logits.grad)})
    logits.grad = None
    loss = DiceFocalLoss(include_background=True, to_onehot_y=True, softmax=True, squared_pred=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5, weight=torch.tensor(weights))(logits, target)
    loss.backward()
    out["weighted_dice_focal"].append({"weights": weights, "loss": float(f"{loss.item():.8g}"), "gradient": values(logits.grad)})
print(json.dumps(out))
