#!/usr/bin/env python3
"""The peer for optimization steps of swinunetr and dints: MONAI's networks with the losses and optimizers of Auto3DSeg's templates.

Usage: monai_step.py --algorithm swinunetr|dints [--roi 64,64,64] [--batch 4] [--filters N] [--architecture arch_code.pth]
  [--classes 3] [--channels 1] [--device cpu|cuda] [--amp] [--steps 20] [--threads N]

dints needs scripts/arch_code.pth of Auto3DSeg's template, a pickle: take it from a checkout that you trust. Prints one JSON
object with the median step in milliseconds, after 5 that do not count, and the most memory that PyTorch reserved. Needs
monai==1.6.1, torch, einops.
"""
import argparse, json, time

import torch
from monai.losses import DiceCELoss, DiceFocalLoss
from monai.networks.nets import DiNTS, SwinUNETR, TopologyInstance

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--algorithm", choices=["swinunetr", "dints"], required=True)
parser.add_argument("--roi", default="64,64,64")
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--filters", type=int)
parser.add_argument("--architecture")
parser.add_argument("--classes", type=int, default=3)
parser.add_argument("--channels", type=int, default=1)
parser.add_argument("--device", default="cuda")
parser.add_argument("--amp", action="store_true")
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--threads", type=int, default=0)
a = parser.parse_args()

if a.threads:
    torch.set_num_threads(a.threads)
device = torch.device(a.device)
torch.backends.cudnn.benchmark = True
roi = [int(side) for side in a.roi.split(",")]
common = {"include_background": True, "to_onehot_y": True, "softmax": True, "squared_pred": True, "smooth_dr": 1e-5}
if a.algorithm == "swinunetr":
    network = SwinUNETR(in_channels=a.channels, out_channels=a.classes, feature_size=a.filters or 48)
    loss_function = DiceCELoss(smooth_nr=0, **common)
    optimizer = torch.optim.AdamW(network.to(device).parameters(), lr=4e-4, weight_decay=1e-5)
else:
    code = torch.load(a.architecture, map_location=device, weights_only=False)
    arch_code = [code["code_a"], code["code_c"]]
    width = (a.filters or 32) / 32
    space = TopologyInstance(channel_mul=width, num_blocks=12, num_depths=4, use_downsample=True, arch_code=arch_code, device=device)
    network = DiNTS(dints_space=space, in_channels=a.channels, num_classes=a.classes, use_downsample=True, node_a=code["node_a"])
    loss_function = DiceFocalLoss(smooth_nr=1e-5, batch=True, **common)
    optimizer = torch.optim.SGD(network.to(device).parameters(), lr=0.2, momentum=0.9, weight_decay=4e-5)

scaler = torch.amp.GradScaler(device.type, enabled=a.amp)
image = torch.randn(a.batch, a.channels, *roi, device=device)
label = torch.randint(0, a.classes, (a.batch, 1, *roi), device=device).float()
synchronize = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
times = []
for step in range(a.steps + 5):
    synchronize()
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(device.type, torch.float16, enabled=a.amp):
        loss = loss_function(network(image).float(), label)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
    scaler.step(optimizer)
    scaler.update()
    synchronize()
    if step >= 5:
        times.append((time.perf_counter() - start) * 1e3)
times.sort()
result = {"tool": "monai", "algorithm": a.algorithm, "roi": roi, "batch": a.batch, "amp": a.amp}
result["parameters"] = sum(parameter.numel() for parameter in network.parameters())
result["step_ms_median"] = times[len(times) // 2]
if device.type == "cuda":
    result["reserved_mib"] = torch.cuda.max_memory_reserved() / 2**20
print(json.dumps(result))
