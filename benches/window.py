#!/usr/bin/env python3
"""Compares the time of one window on a GPU, in turn: PyTorch with AMP, as fast as it runs, and `vesal bench`.

Usage: window.py --checkpoint M.pt --bundle BUNDLE --input A.nii.gz --python PYTHON [--vesal PATH] [--roi 96,96,96] [--batch 4]
  [--rounds 3] [--precision f16] [--compile] [--flag=--ort-lib=...]... [--save FILE]

PYTHON is an interpreter that has MONAI and PyTorch for CUDA; the bundle was made of the checkpoint with that window. PyTorch's
time is that of the network alone, by events, input and output on the GPU, the best of contiguous and channels-last memory
and, with `--compile`, of a compiled network in half precision. That of vesal is `window_ms`: cutting and blending are in it.
Also prints what the whole costs over windows times time per window: for a scan alone, and for each of a folder.
"""
import argparse, json, statistics, sys

from measure import machine, run

PEER = """
import json, sys
import torch
from monai.networks.nets import SegResNetDS
path, roi, batch, compiled = sys.argv[1], [int(v) for v in sys.argv[2].split(",")], int(sys.argv[3]), sys.argv[4] == "1"
torch.backends.cudnn.benchmark = True
state = torch.load(path, map_location="cpu", weights_only=False)
arguments = {k: v for k, v in state["config"]["network"].items() if not k.startswith("_")}

def network():
    made = SegResNetDS(spatial_dims=3, **arguments)
    made.load_state_dict(state["state_dict"])
    return made.eval().cuda()

def milliseconds(network, x, autocast):
    best = float("inf")
    with torch.inference_mode(), torch.autocast("cuda", torch.float16, enabled=autocast):
        for _ in range(5):
            network(x)
        for _ in range(30):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            network(x)
            end.record()
            end.synchronize()
            best = min(best, begin.elapsed_time(end))
    return best / batch

x = torch.randn(batch, arguments.get("in_channels", 1), *roi, device="cuda")
last = torch.channels_last_3d
found = {"amp": milliseconds(network(), x, True)}
found["amp_channels_last"] = milliseconds(network().to(memory_format=last), x.to(memory_format=last), True)
if compiled:
    found["compiled_half"] = milliseconds(torch.compile(network().half()), x.half(), False)
print(json.dumps(found))
"""


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("--checkpoint", "--bundle", "--input", "--python"):
        parser.add_argument(name, required=True)
    parser.add_argument("--vesal", default="target/release/vesal")
    parser.add_argument("--roi", default="96,96,96")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="f16")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--flag", action="append", default=[])
    parser.add_argument("--save")
    return parser.parse_args()


def main():
    chosen = arguments()
    peer = [chosen.python, "-c", PEER, chosen.checkpoint, chosen.roi, str(chosen.batch), str(int(chosen.compile))]
    vesal = [chosen.vesal, "bench", chosen.bundle, chosen.input, "--device", "cuda", "--precision", chosen.precision, "--batch", str(chosen.batch), "--rounds", "8", "--json", *chosen.flag]
    rounds = []
    for _ in range(chosen.rounds):
        torch = json.loads(run(peer)["stdout"])
        bench = json.loads(run(vesal)["stdout"])
        members, windows = bench["bundle"]["members"], bench["cases"][0]["windows"]
        ours = bench["warm"]["window_ms"]
        ideal = windows * members * ours / 1000
        found = {"peer": torch, "vesal_ms": ours, "ratios": {name: ours / ms for name, ms in torch.items()}, "windows": windows}
        found["alone"] = bench["warm"]["total"]["p50"] / ideal
        found["of_a_folder"] = bench["batch"]["seconds_per_case"] / ideal
        rounds.append(found)
        print(json.dumps(found), file=sys.stderr)
    ratios = {name: statistics.median(found["ratios"][name] for found in rounds) for name in rounds[0]["ratios"]}
    result = {"machine": machine(gpu=True), "rounds": rounds, "ratios": ratios}
    text = json.dumps(result, indent=1)
    if chosen.save:
        with open(chosen.save, "w") as file:
            file.write(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
