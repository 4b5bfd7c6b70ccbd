#!/usr/bin/env python3
"""Compares `vesal convert` with other converters from DICOM to NIfTI, in turn on one machine.

Usage: dicom.py --work DIR --python PYTHON [--vesal PATH] [--dcm2niix PATH] [--input DIR [...]] [--generate X,Y,Z]
  [--syntax native|jpeg-ls] [--rounds 5] [--save PREFIX]

PYTHON is an interpreter that has pydicom, nibabel and SimpleITK (and pyjpegls for `--syntax jpeg-ls`). Every folder, and
a made-up CT of the given size, is converted to .nii.gz by each program anew in every round: vesal, dcm2niix (as it is, and
with its fastest compression), pydicom with nibabel, SimpleITK. Wall time and the peak of resident memory are those of the
whole process. Prints medians over rounds, the medians of vesal's ratios to the others, the bytes that were written, and how far
voxels and affines of the others are from vesal's once all are turned to RAS.
"""
import argparse, datetime, json, pathlib, shutil, statistics, subprocess, sys

from measure import machine, run

# These run where their libraries are, and not here: a parent's memory would count for its children.
GENERATE = """
import sys
import numpy as np, pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGLSLossless
folder, shape, syntax = sys.argv[1:]
x, y, z = (int(v) for v in shape.split(","))
random = np.random.default_rng(20)
row, column = (np.linspace(-1, 1, n, dtype=np.float32) for n in (x, y))
body = row[None, :] ** 2 / 0.7 + column[:, None] ** 2 / 0.5 < 1
for k in range(z):
    image = np.where(body, 40 + 60 * np.sin(7 * row[None, :] + k / 40), -1000)
    image[body] += random.standard_normal((y, x), dtype=np.float32)[body] * 15
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, f"1.2.826.0.1.3680043.10.{k + 1}"
    d.file_meta.MediaStorageSOPClassUID, d.file_meta.MediaStorageSOPInstanceUID = d.SOPClassUID, d.SOPInstanceUID
    d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = "1.2.826.0.1.1", "1.2.826.0.1.2", "1.2.826.0.1.3"
    d.Modality, d.SeriesNumber, d.InstanceNumber, d.PatientID, d.Manufacturer = "CT", 1, k + 1, "phantom", "phantom"
    d.ImageType, d.StudyDate, d.StudyTime = ["ORIGINAL", "PRIMARY", "AXIAL"], "20260101", "120000"
    d.ImagePositionPatient, d.ImageOrientationPatient = [-200, -180, 1.5 * k], [1, 0, 0, 0, 1, 0]
    d.PixelSpacing, d.SliceThickness, d.RescaleSlope, d.RescaleIntercept = [0.8, 0.8], 1.5, 1, -1024
    d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = y, x, 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
    d.PixelData = (image.round().clip(-1024, 3071) + 1024).astype(np.uint16).tobytes()
    if syntax == "jpeg-ls":
        d.compress(JPEGLSLossless, generate_instance_uid=False)
    d.save_as(f"{folder}/{(k * 7919) % z:04}.dcm", enforce_file_format=True)
"""

PYDICOM = """
import pathlib, sys
import nibabel, numpy as np, pydicom
series = {}
for path in pathlib.Path(sys.argv[1]).rglob("*"):
    try:
        d = pydicom.dcmread(path)
        d.ImagePositionPatient
    except Exception:
        continue
    series.setdefault(d.SeriesInstanceUID, []).append(d)
for uid, slices in series.items():
    a, b = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(a, b)
    slices.sort(key=lambda d: normal @ np.array(d.ImagePositionPatient, float))
    scale = [(float(d.get("RescaleSlope", 1)), float(d.get("RescaleIntercept", 0))) for d in slices]
    whole = all(slope == 1 and intercept.is_integer() for slope, intercept in scale)
    kind = np.int16 if whole else np.float32
    data = np.stack([d.pixel_array.T.astype(kind) * kind(s) + kind(i) for d, (s, i) in zip(slices, scale)], -1)
    first, last = (np.array(slices[k].ImagePositionPatient, float) for k in (0, -1))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = a * slices[0].PixelSpacing[1], b * slices[0].PixelSpacing[0]
    affine[:3, 2], affine[:3, 3] = (last - first) / max(len(slices) - 1, 1), first
    nibabel.save(nibabel.Nifti1Image(data, np.diag([-1, -1, 1, 1]) @ affine), f"{sys.argv[2]}/{uid}.nii.gz")
"""

SIMPLE_ITK = """
import pathlib, sys
import SimpleITK as sitk
folders = {path.parent for path in pathlib.Path(sys.argv[1]).rglob("*") if path.is_file()}
for folder in folders:
    for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)):
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)
        if len(names) > 1:
            sitk.WriteImage(sitk.ReadImage(names), f"{sys.argv[2]}/{uid}.nii.gz", useCompression=True)
"""

# Pairs the files of two folders by shape, and gives the largest differences of voxels and of affines.
COMPARE = """
import json, pathlib, sys
import nibabel, numpy as np
def load(folder):
    images = [nibabel.as_closest_canonical(nibabel.load(path)) for path in sorted(pathlib.Path(folder).glob("*.nii.gz"))]
    return {image.shape: image for image in images}
ours, theirs = load(sys.argv[1]), load(sys.argv[2])
voxels = affine = 0.0
for shape in ours.keys() & theirs.keys():
    a, b = ours[shape], theirs[shape]
    voxels = float(np.maximum(voxels, np.abs(a.get_fdata(dtype=np.float32) - b.get_fdata(dtype=np.float32)).max()))
    affine = float(np.maximum(affine, np.abs(a.affine - b.affine).max()))
print(json.dumps([len(ours.keys() & theirs.keys()), len(ours), voxels, affine]))
"""

VERSIONS = """
import json, platform
import nibabel, numpy, pydicom, SimpleITK
found = {"python": platform.python_version(), "pydicom": pydicom.__version__, "nibabel": nibabel.__version__, "numpy": numpy.__version__}
print(json.dumps(found | {"SimpleITK": SimpleITK.Version_VersionString()}))
"""


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for the made-up series and results")
    parser.add_argument("--python", required=True, help="an interpreter with pydicom, nibabel and SimpleITK")
    parser.add_argument("--vesal", default="vesal")
    parser.add_argument("--dcm2niix", default="dcm2niix")
    parser.add_argument("--input", nargs="*", default=[], type=pathlib.Path)
    parser.add_argument("--generate", help="X,Y,Z of a made-up CT")
    parser.add_argument("--syntax", choices=["native", "jpeg-ls"], default="native", help="of the made-up CT")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", type=pathlib.Path, help="write PREFIX.json")
    return parser.parse_args()


def generated(a):
    """Makes the CT, once."""
    folder = a.work / f"ct_{a.generate.replace(',', 'x')}_{a.syntax}"
    if not folder.exists():
        partial = a.work / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        subprocess.run([a.python, "-c", GENERATE, str(partial), a.generate, a.syntax], check=True)
        partial.rename(folder)
    return folder


def compared(a, series):
    """Converts one folder with all programs, in turn."""
    peers = {
        "vesal": lambda out: [a.vesal, "convert", "--input", series, "--output", out],
        "dcm2niix": lambda out: [a.dcm2niix, "-z", "y", "-b", "n", "-f", "%j", "-o", out, series],
        "dcm2niix -1": lambda out: [a.dcm2niix, "-1", "-z", "y", "-b", "n", "-f", "%j", "-o", out, series],
        "pydicom, nibabel": lambda out: [a.python, "-c", PYDICOM, series, out],
        "SimpleITK": lambda out: [a.python, "-c", SIMPLE_ITK, series, out],
    }
    rounds = []
    for number in range(a.rounds):
        row = {}
        for name, command in peers.items():
            out = a.work / "out" / name.replace(" ", "_")
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            measured = run(command(out))
            row[name] = {key: measured[key] for key in ("seconds", "processor_s", "rss_mib")}
            row[name]["bytes"] = sum(path.stat().st_size for path in out.glob("*.nii.gz"))
        rounds.append(row)
        print(f"{series.name}, round {number + 1}: " + ", ".join(f"{n} {v['seconds']:.2f} s" for n, v in row.items()), file=sys.stderr)
    ours = a.work / "out" / "vesal"
    lines = ["| program | wall, s | vesal / it | by round | peak, MiB | vesal / it | processor, s | written, MB | voxels, affine off by |", "|" + "---|" * 9]
    for name in peers:
        of = lambda key: statistics.median(row[name][key] for row in rounds)
        ratios = lambda key: [row["vesal"][key] / row[name][key] for row in rounds]
        wall, peak = (statistics.median(ratios(key)) for key in ("seconds", "rss_mib"))
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios("seconds"))
        theirs = a.work / "out" / name.replace(" ", "_")
        pairs, total, voxels, affine = json.loads(run([a.python, "-c", COMPARE, ours, theirs])["stdout"])
        off = f"{voxels:.3g}, {affine:.1e} ({pairs} of {total})"
        lines.append(f"| {name} | {of('seconds'):.3f} | {wall:.2f} | {each} | {of('rss_mib'):.0f} | {peak:.2f} | {of('processor_s'):.2f} | {of('bytes') / 1e6:.1f} | {off} |")
    return rounds, lines


def main():
    a = parsed()
    a.work.mkdir(parents=True, exist_ok=True)
    folders = a.input + ([generated(a)] if a.generate else [])
    versions = json.loads(run([a.python, "-c", VERSIONS])["stdout"])
    versions["vesal"] = run([a.vesal, "--version"])["stdout"].split()[-1]
    versions["dcm2niix"] = run([a.dcm2niix, "--version"], accepted=(0, 3))["stdout"].split()[-1]
    results = {}
    for folder in folders:
        files = sum(path.is_file() for path in folder.rglob("*"))
        rounds, lines = compared(a, folder)
        results[folder.name] = rounds
        print("\n".join(["", f"{folder.name}, {files} files, {a.rounds} rounds in turn", ""] + lines))
    host = machine()
    print(f"\nMachine: {host['processor']}, {host['cores']} cores, {host['memory_gib']} GiB; load at the end {host['load'][0]:.1f}.")
    print("Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) + ".")
    if a.save:
        document = {"date": datetime.date.today().isoformat(), "machine": host, "versions": versions, "rounds": results}
        a.save.parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(f"{a.save}.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
