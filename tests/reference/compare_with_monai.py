#!/usr/bin/env python3
"""Compares `vesal predict` with MONAI: same weights, windows and scans; identical labels and Dice per scan.

Usage: compare_with_monai.py --peer monai_predict.py --checkpoint M.pt [M2.pt ...] --input A.nii.gz [...] --roi 32,48,32
  [--overlap 0.625] [--spacing X,Y,Z] [--modality mri|ct] [--bounds LO,HI] --work DIR [--vesal PATH] [--export PATH]
Runs `vesal-export import-monai`, `vesal predict` and the peer script (which holds the reference's pipeline), then prints
one JSON object. Exits with 1 where a scan has fewer than 99.99 % identical voxels or a Dice below 0.9999.
Needs: monai, torch, nibabel, numpy.
"""
import argparse, json, os, subprocess, sys, time
import nibabel, numpy as np

p = argparse.ArgumentParser()
p.add_argument("--peer", required=True)
p.add_argument("--checkpoint", nargs="+", required=True)
p.add_argument("--input", nargs="+", required=True)
p.add_argument("--roi", required=True)
p.add_argument("--overlap", default="0.625")
p.add_argument("--spacing")
p.add_argument("--modality", default="mri")
p.add_argument("--bounds")
p.add_argument("--work", required=True)
p.add_argument("--vesal", default="vesal")
p.add_argument("--export", default="vesal-export")
a = p.parse_args()

shared = ["--roi", a.roi, "--overlap", a.overlap, "--modality", a.modality]
shared += ["--spacing", a.spacing] if a.spacing else []
shared += [f"--bounds={a.bounds}"] if a.bounds else []
bundle, ours, theirs = (os.path.join(a.work, name) for name in ("bundle", "vesal", "monai"))
os.makedirs(a.work, exist_ok=True)
subprocess.run([a.export, "import-monai", *a.checkpoint, "--output", bundle, "--overwrite", *shared], check=True)
start = time.perf_counter()
subprocess.run([a.vesal, "predict", "--bundle", bundle, "--input", *a.input, "--output", ours, "--device", "cpu", "--overwrite"], check=True)
vesal_s = time.perf_counter() - start
start = time.perf_counter()
subprocess.run([sys.executable, a.peer, "--checkpoint", *a.checkpoint, "--input", *a.input, "--output", theirs, *shared], check=True, stdout=subprocess.DEVNULL)
monai_s = time.perf_counter() - start

scans, fine = [], True
for path in a.input:
    name = os.path.basename(path).removesuffix(".gz").removesuffix(".nii") + "_seg.nii.gz"
    x, y = (nibabel.load(os.path.join(folder, name)) for folder in (ours, theirs))
    u, v = (np.asarray(image.dataobj).squeeze() for image in (x, y))
    identical = float((u == v).mean())
    dice = {int(k): float(2 * ((u == k) & (v == k)).sum() / ((u == k).sum() + (v == k).sum())) for k in np.union1d(np.unique(u), np.unique(v))}
    affine = float(np.abs(x.affine - nibabel.load(path).affine).max())
    fine &= identical >= 0.9999 and min(dice.values()) >= 0.9999 and affine < 1e-5
    scans.append({"scan": os.path.basename(path), "voxels": int(u.size), "different": int((u != v).sum()), "identical": identical, "dice": dice, "affine_difference": affine})
print(json.dumps({"passed": fine, "vesal_s": vesal_s, "monai_s": monai_s, "scans": scans}, indent=1))
sys.exit(0 if fine else 1)
