#!/usr/bin/env python3
"""Compares `vesal-train analyze` with MONAI's DataAnalyzer on the CPU, in turn on one machine.

Usage: analyze.py --vesal vesal-train --task task.yaml --python PYTHON [--rounds 3] [--components] [--json FILE]

PYTHON is an interpreter that has MONAI. Both programs are started anew for every round and read the same datalist; wall
time and the peak of resident memory are those of the whole process with its children, start and imports included. The
reference's own work, without imports, is timed as well. Prints medians over rounds, and their ratios.
"""
import argparse, json, pathlib, re, statistics, sys, tempfile

from measure import run

PEER = """
import json, sys, time
from monai.apps.auto3dseg import DataAnalyzer
datalist, dataroot, output, components = sys.argv[1:]
started = time.perf_counter()
analyzer = DataAnalyzer(json.load(open(datalist)), dataroot, output_path=output, device="cpu", do_ccp=components == "1")
analyzer.get_all_case_stats()
print(time.perf_counter() - started)
"""


def field(task, name):
    """A plain field of the task file."""
    found = re.search(rf"^{name}:\s*(\S+)\s*$", task.read_text(), re.M)
    if not found:
        sys.exit(f"{task} has no `{name}`")
    return task.parent / found.group(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vesal", required=True, help="the program vesal-train")
    parser.add_argument("--task", required=True, type=pathlib.Path)
    parser.add_argument("--python", required=True, help="an interpreter with MONAI")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--components", action="store_true", help="measure connected components, too")
    parser.add_argument("--json", help="write all measurements to this file")
    arguments = parser.parse_args()
    datalist, dataroot = field(arguments.task, "datalist"), field(arguments.task, "dataroot")
    rows = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            ours = [arguments.vesal, "analyze", "--input", str(arguments.task), "--work-dir", f"{folder}/work"]
            ours += ["--components"] if arguments.components else []
            vesal = run(ours, accepted=(0, 7))
            peer = [arguments.python, "-c", PEER, str(datalist), str(dataroot), f"{folder}/stats.yaml"]
            peer = run(peer + [str(int(arguments.components))])
            own = float(peer["stdout"].strip().splitlines()[-1])
            row = {"vesal_s": vesal["seconds"], "vesal_mib": vesal["rss_mib"], "peer_s": peer["seconds"]}
            rows.append(row | {"peer_own_s": own, "peer_mib": peer["rss_mib"]})
    median = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    print(f"{'':16}{'vesal':>10}{'MONAI':>10}{'ratio':>10}")
    for name, ours, peer in [("wall s", "vesal_s", "peer_s"), ("without imports", "vesal_s", "peer_own_s"), ("peak MiB", "vesal_mib", "peer_mib")]:
        print(f"{name:16}{median[ours]:10.2f}{median[peer]:10.2f}{median[ours] / median[peer]:10.4f}")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
