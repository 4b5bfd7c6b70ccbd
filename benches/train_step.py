#!/usr/bin/env python3
"""Compares an optimization step of vesal-train with a peer's, in turn on one machine.

Usage: train_step.py --vesal vesal-train --peer PEER.py [--device cpu|cuda] [--rounds 3] [--case NAME]... [--json FILE]

The peer takes the arguments of the cases below, --device, --amp and --threads, and prints one JSON object with
step_ms_median as its last line. In the first three cases, both train SegResNetDS with DiceCE, deep supervision and AdamW on
random patches; swinunetr and dints have monai_step.py as the peer. Steps
end with the device's work. Device memory is the most that nvidia-smi shows beyond what was taken before, so that
contexts, libraries and caches count for both. Prints a table of medians over rounds, and their ratios.
"""
import argparse, json, statistics, sys

from measure import run

CASES = {
    "small": ["--roi", "32,48,32", "--batch", "5", "--filters", "32", "--blocks", "1,2,2,4,4"],
    "large": ["--roi", "128,128,128", "--batch", "1", "--filters", "32", "--blocks", "1,2,2,4"],
    "swinunetr": ["--algorithm", "swinunetr", "--roi", "64,64,64", "--batch", "4"],
    "dints": ["--algorithm", "dints", "--roi", "32,32,32", "--batch", "4"],
    "cpu": ["--roi", "32,48,32", "--batch", "2", "--filters", "8", "--blocks", "1,2,2,4"],
}


def document_of(done):
    """The JSON that a program printed: all of its output, or the last line."""
    text = done["stdout"]
    return json.loads(text[text.index("{"):] if text.lstrip().startswith("{\n") else text.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vesal", required=True, help="the program vesal-train")
    parser.add_argument("--peer", required=True, help="the peer's script")
    parser.add_argument("--peer-flag", action="append", default=[], help="a further argument of the peer")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--threads", default="2", help="the peer's threads on a processor")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--json", help="write all measurements to this file")
    arguments = parser.parse_args()
    gpu = arguments.device != "cpu"
    cases = arguments.case or (["small", "large"] if gpu else ["cpu"])
    extra = ["--device", arguments.device] + (["--amp"] if gpu else [])
    peer_extra = extra + ([] if gpu else ["--threads", arguments.threads]) + arguments.peer_flag
    record = []
    print(f"{'case':8}{'vesal ms':>10}{'peer ms':>10}{'ratio':>8}{'vesal MiB':>11}{'peer MiB':>10}{'ratio':>8}{'first step s':>14}")
    for case in cases:
        rows = []
        for _ in range(arguments.rounds):
            ours_run = run([arguments.vesal, "bench", "--json"] + CASES[case] + extra, gpu)
            peer_run = run([sys.executable, arguments.peer] + CASES[case] + peer_extra, gpu)
            ours, peer = document_of(ours_run), document_of(peer_run)
            mib, peer_mib = (measured["device_mib"] or 0.0 for measured in (ours_run, peer_run))
            rows.append((ours["step_ms_median"], peer["step_ms_median"], mib, peer_mib, ours["first_step_s"]))
            entry = {"case": case, "vesal": ours, "peer": peer, "vesal_mib": mib, "peer_mib": peer_mib}
            record.append(entry | {"vesal_s": ours_run["seconds"], "peer_s": peer_run["seconds"]})
        ms, peer_ms, mib, peer_mib, first = (statistics.median(column) for column in zip(*rows))
        memory = f"{mib:11.0f}{peer_mib:10.0f}{mib / peer_mib:8.2f}" if gpu else f"{'-':>11}{'-':>10}{'-':>8}"
        print(f"{case:8}{ms:10.2f}{peer_ms:10.2f}{ms / peer_ms:8.2f}{memory}{first:14.2f}", flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(record, file, indent=1)


if __name__ == "__main__":
    main()
