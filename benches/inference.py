#!/usr/bin/env python3
"""Compares `vesal predict` with the MONAI peer, in turn on one machine: same weights, windows, scans and threads.

Usage: inference.py --peer monai_predict.py --python PYTHON --checkpoint M.pt [M2.pt ...] --roi 96,96,96 --work DIR
  (--input A.nii.gz [...] | --phantom mr|ct|X,Y,Z[:SX,SY,SZ]) [--vesal PATH] [--export PATH] [--rounds 3] [--threads 2]
  [--device cpu] [--amp] [--batch N] [--provider P] [--precision P] [--overlap 0.5] [--spacing X,Y,Z] [--modality mri|ct]
  [--members N] [--copies N] [--flag=--max-ram=2GB]... [--environment NAME=VALUE]... [--save PREFIX]

PYTHON is an interpreter that has MONAI and nibabel. Every round starts both programs anew; the peer's output must be
that of monai_predict.py, vesal's is its report. A phantom is made in the work directory: anatomy of spheroids with noise, int16,
`mr` 256×256×192 at 1 mm, `ct` 512×512×275 at 0.8×0.8×1.5 mm, or any size. `--copies` gives each scan several names, so that
the cases after the first show warm programs. Prints medians over rounds and their ratios; `--save` writes PREFIX.json and
PREFIX.md.
"""
import argparse, datetime, hashlib, json, os, pathlib, shutil, statistics, subprocess, sys

from measure import machine, run

SIZES = {"mr": ("256,256,192", "1,1,1"), "ct": ("512,512,275", "0.8,0.8,1.5")}

# Runs where numpy and nibabel are, and not here: a parent's memory would count for its children.
PHANTOM = """
import sys
import nibabel, numpy as np
path, shape, spacing, modality = sys.argv[1:]
shape, spacing = ([float(v) for v in text.split(",")] for text in (shape, spacing))
shape = [int(v) for v in shape]
random = np.random.default_rng(20)
x, y, z = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
inside = lambda center, radii: sum((((a - c) / r) ** 2).reshape([-1 if i == k else 1 for i in range(3)]) for k, (a, c, r) in enumerate(zip((x, y, z), center, radii))) < 1
ct = modality == "ct"
image = np.full(shape, -1000 if ct else 0, np.float32)
body = inside((0, 0, 0), (0.8, 0.65, 1.3))
image[body] = 40 if ct else 300
for _ in range(40):
    center, radii = random.uniform(-0.5, 0.5, 3), random.uniform(0.05, 0.3, 3)
    image[inside(center, radii) & body] = random.uniform(-100, 400) if ct else random.uniform(100, 900)
if ct:
    image[inside((0, 0.85, 0), (0.7, 0.04, 9))] = 200
for k in range(shape[2]):
    noise = random.standard_normal(shape[:2], dtype=np.float32) * (15 if ct else 12)
    image[:, :, k] += noise if ct else np.where(body[:, :, k], noise, np.abs(noise) * 0.5)
if not ct:
    image[image < 4] = 0
nibabel.save(nibabel.Nifti1Image(image.round().astype(np.int16), np.diag(spacing + [1.0])), path)
"""

AGREEMENT = """
import json, sys
import nibabel, numpy as np
maps = [np.asarray(nibabel.load(path).dataobj).squeeze() for path in sys.argv[1:]]
print(json.dumps([int((maps[0] == maps[1]).sum()), int(maps[0].size)]))
"""

VERSIONS = """
import json, platform
import monai, nibabel, numpy, torch
print(json.dumps({"python": platform.python_version(), "monai": monai.__version__, "torch": torch.__version__, "nibabel": nibabel.__version__, "numpy": numpy.__version__}))
"""


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def phantom(python, size, modality, work):
    """Makes a phantom, once."""
    shape, _, spacing = size.partition(":")
    shape, spacing = SIZES.get(shape, (shape, spacing or "1,1,1"))
    kind = "ct" if modality == "ct" else "mr"
    path = work / f"{kind}_{shape.replace(',', 'x')}_{spacing.replace(',', 'x')}.nii.gz"
    if not path.exists():
        partial = work / f"partial_{path.name}"
        subprocess.run([python, "-c", PHANTOM, str(partial), shape, spacing, kind], check=True)
        partial.rename(path)
    return path


def named_copies(scans, copies, work):
    """Gives every scan further names, as hard links where possible."""
    folder = work / "scans"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    paths = []
    for number in range(copies):
        for scan in scans:
            path = folder / f"{number}_{scan.name}"
            try:
                os.link(scan, path)
            except OSError:
                shutil.copy(scan, path)
            paths.append(path)
    return paths


def label_map(scan, folder):
    return folder / (scan.name.removesuffix(".gz").removesuffix(".nii") + "_seg.nii.gz")


def figures(ours, report, theirs, peer):
    """One round's figures by name, vesal's and the peer's; None where a program does not tell."""
    stages = [case["seconds"] for case in report["cases"]]
    of = lambda name: sum(stage[name] for stage in stages)
    peer_of = lambda name: sum(case[name] for case in peer["cases"])
    network, peer_network = of("network"), peer_of("network_s")
    warm = statistics.mean([stage["total"] for stage in stages[1:]]) if stages[1:] else None
    peer_warm = statistics.mean([case["total_s"] for case in peer["cases"][1:]]) if stages[1:] else None
    return {
        "process start to end, s": (ours["seconds"], theirs["seconds"]),
        "network, s": (network, peer_network),
        "everything else, s": (ours["seconds"] - network, theirs["seconds"] - peer_network),
        "before the network, s": (of("read") + of("prepare"), peer_of("pre_s")),
        "after the network, s": (of("restore") + of("write"), peer_of("post_s")),
        "loading or imports, s": (report["load_seconds"], peer["import_s"]),
        "a case after the first, s": (warm, peer_warm),
        "processor time, s": (ours["processor_s"], theirs["processor_s"]),
        "peak resident memory, MiB": (ours["rss_mib"], theirs["rss_mib"]),
        "peak device memory, MiB": (ours["device_mib"], theirs["device_mib"]),
    }


def table(rounds):
    """Medians and the median of the rounds' ratios, as lines of markdown."""
    lines = ["| | vesal | MONAI | ratio | ratios by round |", "|---|---|---|---|---|"]
    summary = {}
    for name in rounds[0]:
        pairs = [figures[name] for figures in rounds]
        if None in pairs[0]:
            continue
        ratios = [a / b for a, b in pairs if b]
        ours, theirs = (statistics.median(column) for column in zip(*pairs))
        ratio = statistics.median(ratios) if ratios else float("nan")
        summary[name] = {"vesal": ours, "monai": theirs, "ratio": ratio, "ratios": ratios}
        each = ", ".join(f"{value:.3f}" for value in ratios)
        lines.append(f"| {name} | {ours:.2f} | {theirs:.2f} | {ratio:.3f} | {each} |")
    return lines, summary


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True, help="the peer's script, monai_predict.py")
    parser.add_argument("--python", required=True, help="an interpreter with MONAI and nibabel")
    parser.add_argument("--checkpoint", nargs="+", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for bundle, phantoms and results")
    scans = parser.add_mutually_exclusive_group(required=True)
    scans.add_argument("--input", nargs="+", type=pathlib.Path)
    scans.add_argument("--phantom", help="mr, ct or X,Y,Z[:SX,SY,SZ]")
    parser.add_argument("--vesal", default="vesal")
    parser.add_argument("--export", default="vesal-export")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of both programs")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--amp", action="store_true", help="mixed precision for the peer")
    parser.add_argument("--batch", help="windows at once, of both programs; each one's default if not given")
    parser.add_argument("--provider", help="vesal's")
    parser.add_argument("--precision", help="vesal's")
    parser.add_argument("--roi", required=True)
    parser.add_argument("--overlap", default="0.5")
    parser.add_argument("--spacing")
    parser.add_argument("--modality", default="mri")
    parser.add_argument("--bounds")
    parser.add_argument("--members", type=int, default=1, help="how often the checkpoints are in the ensemble")
    parser.add_argument("--copies", type=int, default=1, help="names that each scan gets")
    parser.add_argument("--flag", action="append", default=[], help="further argument of `vesal predict`")
    parser.add_argument("--environment", action="append", default=[], help="NAME=VALUE for vesal")
    parser.add_argument("--save", type=pathlib.Path, help="write PREFIX.json and PREFIX.md")
    return parser.parse_args()


def main():
    a = parsed()
    gpu = a.device != "cpu"
    a.work.mkdir(parents=True, exist_ok=True)
    shared = ["--roi", a.roi, "--overlap", a.overlap, "--modality", a.modality]
    shared += ["--spacing", a.spacing] if a.spacing else []
    shared += [f"--bounds={a.bounds}"] if a.bounds else []
    checkpoints = a.checkpoint * a.members
    bundle, ours_dir, theirs_dir, report_path = (a.work / name for name in ("bundle", "vesal", "monai", "report.json"))
    scans = a.input or [phantom(a.python, a.phantom, a.modality, a.work)]
    digests = {path.name: sha256(path) for path in scans + a.checkpoint}
    if a.copies > 1:
        scans = named_copies(scans, a.copies, a.work)
    run([a.export, "import-monai", *checkpoints, "--output", bundle, "--overwrite", *shared])

    ours_command = [a.vesal, "predict", "--bundle", bundle, "--input", *scans, "--output", ours_dir, "--overwrite"]
    ours_command += ["--report", report_path, "--device", a.device, "--threads", a.threads]
    for name in ("batch", "provider", "precision"):
        ours_command += [f"--{name}", getattr(a, name)] if getattr(a, name) else []
    ours_command += a.flag
    peer_command = [a.python, a.peer, "--checkpoint", *checkpoints, "--input", *scans, "--output", theirs_dir, *shared]
    peer_command += ["--device", a.device.partition(":")[0]] + (["--amp"] if a.amp else []) + (["--batch", a.batch] if a.batch else [])
    peer_environment = {name: str(a.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}

    rounds, record = [], []
    for number in range(a.rounds):
        ours = run(ours_command, gpu, dict(pair.split("=", 1) for pair in a.environment))
        report = json.loads(report_path.read_text())
        theirs = run(peer_command, gpu, peer_environment)
        peer = json.loads(theirs.pop("stdout").strip().splitlines()[-1])
        ours.pop("stdout")
        rounds.append(figures(ours, report, theirs, peer))
        record.append({"vesal": ours, "report": report, "peer_process": theirs, "peer": peer})
        ratio = rounds[-1]["process start to end, s"]
        print(f"round {number + 1}: {ratio[0]:.2f} s against {ratio[1]:.2f} s", file=sys.stderr, flush=True)

    compared = []
    for scan in scans:
        done = run([a.python, "-c", AGREEMENT, label_map(scan, ours_dir), label_map(scan, theirs_dir)])
        compared.append(json.loads(done["stdout"]))
    agreement = sum(same for same, _ in compared) / sum(voxels for _, voxels in compared)
    versions = {**json.loads(run([a.python, "-c", VERSIONS])["stdout"]), **record[-1]["report"]["versions"]}
    host = machine(gpu)
    lines, summary = table(rounds)
    host_line = f"{host['processor']}, {host['cores']} cores, {host['memory_gib']} GiB" + (f", {host['gpu']}" if gpu else "")
    setting = f"window {a.roi.replace(',', '×')}, overlap {a.overlap}, {a.threads} threads, device {a.device}, {len(scans)} scan(s)"
    setting += "".join(f", {name} {getattr(a, name)}" for name in ("spacing", "provider", "precision", "batch") if getattr(a, name))
    date = datetime.date.today().isoformat()
    text = [f"# {', '.join(digests)}: {date}", "", f"Machine: {host_line}; load at the end {host['load'][0]:.1f}.", ""]
    text += ["Versions: " + ", ".join(f"{name} {value}" for name, value in sorted(versions.items())) + ".", ""]
    text += [f"{setting[0].upper()}{setting[1:]}{', peer with --amp' if a.amp else ''}; {a.rounds} rounds in turn.", ""]
    text += lines + ["", f"Equal voxels of the label maps: {100 * agreement:.4f} %.", "", "| file | SHA-256 |", "|---|---|"]
    text += [f"| {name} | `{digest}` |" for name, digest in digests.items()]
    text += [f"| bundle (its manifest) | `{record[-1]['report']['bundle']['digest']}` |"]
    print("\n".join(text))
    if a.save:
        document = {"date": date, "machine": host, "versions": versions, "digests": digests, "setting": setting, "amp": a.amp}
        document |= {"summary": summary, "equal_voxels": agreement, "rounds": record}
        a.save.parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(f"{a.save}.json").write_text(json.dumps(document, indent=1) + "\n")
        pathlib.Path(f"{a.save}.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
