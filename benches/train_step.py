#!/usr/bin/env python3
"""Compares an optimization step of vesal-train with a peer's, in turn on one machine.

Usage: train_step.py --vesal vesal-train --peer PEER.py [--device cpu|cuda] [--rounds 3] [--case NAME]... [--json FILE]

The peer takes --roi, --batch, --filters, --blocks, --device, --amp and --threads, and prints one JSON object with
step_ms_median as its last line. Both train SegResNetDS with DiceCE, deep supervision and AdamW on random patches; steps
end with the device's work. Device memory is the most that nvidia-smi shows beyond what was taken before, so that
contexts, libraries and caches count for both. Prints a table of medians over rounds, and their ratios.
"""
import argparse, json, statistics, subprocess, sys, threading, time

CASES = {
    "small": ["--roi", "32,48,32", "--batch", "5", "--filters", "32", "--blocks", "1,2,2,4,4"],
    "large": ["--roi", "128,128,128", "--batch", "1", "--filters", "32", "--blocks", "1,2,2,4"],
    "cpu": ["--roi", "32,48,32", "--batch", "2", "--filters", "8", "--blocks", "1,2,2,4"],
}


def used_mib():
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return float(subprocess.run(query, capture_output=True, text=True, check=True).stdout)


def run(command, watch):
    """Runs a program; gives its JSON, the seconds it took and the device memory that it took, in MiB."""
    before, most, ended = used_mib() if watch else 0.0, [0.0], threading.Event()

    def sample():
        while not ended.is_set():
            most[0] = max(most[0], used_mib())
            time.sleep(0.05)

    thread = threading.Thread(target=sample)
    if watch:
        thread.start()
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    ended.set()
    if watch:
        thread.join()
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    text = done.stdout
    document = text[text.index("{"):] if text.lstrip().startswith("{\n") else text.strip().splitlines()[-1]
    return json.loads(document), seconds, most[0] - before


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vesal", required=True, help="the program vesal-train")
    parser.add_argument("--peer", required=True, help="the peer's script")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--threads", default="2", help="the peer's threads on a processor")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--json", help="write all measurements to this file")
    arguments = parser.parse_args()
    gpu = arguments.device != "cpu"
    cases = arguments.case or (["small", "large"] if gpu else ["cpu"])
    extra = ["--device", arguments.device] + (["--amp"] if gpu else [])
    peer_extra = extra + ([] if gpu else ["--threads", arguments.threads])
    record = []
    print(f"{'case':8}{'vesal ms':>10}{'peer ms':>10}{'ratio':>8}{'vesal MiB':>11}{'peer MiB':>10}{'ratio':>8}{'first step s':>14}")
    for case in cases:
        rows = []
        for _ in range(arguments.rounds):
            ours = run([arguments.vesal, "bench", "--json"] + CASES[case] + extra, gpu)
            peer = run([sys.executable, arguments.peer] + CASES[case] + peer_extra, gpu)
            rows.append((ours[0]["step_ms_median"], peer[0]["step_ms_median"], ours[2], peer[2], ours[0]["first_step_s"]))
            record.append({"case": case, "vesal": ours[0], "peer": peer[0], "vesal_mib": ours[2], "peer_mib": peer[2], "vesal_s": ours[1], "peer_s": peer[1]})
        ms, peer_ms, mib, peer_mib, first = (statistics.median(column) for column in zip(*rows))
        memory = f"{mib:11.0f}{peer_mib:10.0f}{mib / peer_mib:8.2f}" if gpu else f"{'-':>11}{'-':>10}{'-':>8}"
        print(f"{case:8}{ms:10.2f}{peer_ms:10.2f}{ms / peer_ms:8.2f}{memory}{first:14.2f}", flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(record, file, indent=1)


if __name__ == "__main__":
    main()
