"""Reads results with highdicom, dcmqi, pydicom and scikit-image, and compares them with the truth beside them.

Run by the tests: python3 read.py FOLDER, each folder below it holding results and truth.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import dcmqi
import highdicom as hd
import numpy as np
import pydicom
from skimage.measure import grid_points_in_poly

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def truth(folder):
    about = json.loads((folder / "truth.json").read_text())
    labels = np.fromfile(folder / "truth.raw", "<u2").reshape(about["shape"])
    return labels, np.array(about["affine"]), about["segments"]


def compare(name, values, affine, labels, expected_affine):
    """Checks that an array with its LPS affine holds the labels at their places, and nothing elsewhere."""
    to_labels = np.linalg.inv(expected_affine) @ FLIP @ affine
    index = np.argwhere(values > 0)
    places = index @ to_labels[:3, :3].T + to_labels[:3, 3]
    nearest = np.rint(places).astype(int)
    off = np.abs(places - nearest).max() if len(index) else 0.0
    assert off < 1e-3, f"{name}: voxels lie {off} voxels off the grid"
    found = np.zeros_like(labels)
    found[tuple(nearest.T)] = values[tuple(index.T)]
    assert len(index) == np.count_nonzero(labels), f"{name}: {len(index)} voxels"
    assert np.array_equal(found, labels), f"{name}: voxels differ"


def check_highdicom(folder, name, labels, affine, segments):
    seg = hd.seg.segread(folder / name)
    if name == "seg.dcm":
        values = {index + 1: segment["value"] for index, segment in enumerate(segments)}
    else:
        values = {segment["value"]: segment["value"] for segment in segments}
    assert sorted(seg.segment_numbers) == sorted(values)
    for number, segment in zip(values, segments):
        assert seg.get_segment_description(number).segment_label == segment["name"]
    if not labels.any():
        return
    volume = seg.get_volume(combine_segments=True, rtol=1e-4)
    numbers = volume.array.astype(np.uint16)
    found = np.zeros_like(numbers)
    for number, value in values.items():
        found[numbers == number] = value
    compare(f"highdicom {name}", found, volume.affine, labels, affine)


def check_regions(folder, shape, affine):
    bits = np.fromfile(folder / "regions.raw", "<u2").reshape(shape)
    volume = hd.seg.segread(folder / "regions.dcm").get_volume(combine_segments=False, rtol=1e-4)
    for channel, bit in enumerate([1, 2, 4]):
        region = (bits & bit > 0).astype(np.uint16)
        found = volume.array[..., channel].astype(np.uint16)
        compare(f"region {bit}", found, volume.affine, region, affine)


def read_nrrd(path):
    header, data = path.read_bytes().split(b"\n\n", 1)
    fields = dict(
        line.split(": ", 1) for line in header.decode().splitlines() if ": " in line and line[0] != "#"
    )
    if fields["encoding"] == "gzip":
        data = gzip.decompress(data)
    kinds = {"unsigned char": "u1", "short": "<i2", "unsigned short": "<u2", "uint8": "u1"}
    shape = [int(n) for n in fields["sizes"].split()]
    array = np.frombuffer(data, kinds[fields["type"]]).reshape(shape[::-1]).T

    def vector(text):
        return [float(part) for part in text.strip("()").split(",")]

    affine = np.eye(4)
    affine[:3, :3] = np.array([vector(part) for part in fields["space directions"].split()]).T
    affine[:3, 3] = vector(fields["space origin"])
    assert fields["space"] == "left-posterior-superior"
    return array, affine


def tool(name, *arguments):
    program = Path(dcmqi.__file__).parent / "bin" / name
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


def check_dcmqi(folder, name, labels, affine, segments):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        arguments = ["--outputType", "nrrd", "--prefix", "found"]
        tool("segimage2itkimage", "--inputDICOM", folder / name, "--outputDirectory", scratch, *arguments)
        found = np.zeros_like(labels)
        seen = 0
        for path in sorted(scratch.glob("found-*.nrrd")):
            array, at = read_nrrd(path)
            number = int(path.stem.split("-")[1])
            part = np.zeros_like(labels)
            if name == "seg.dcm":
                value = segments[number - 1]["value"]
                part[labels == value] = value
                compare(f"dcmqi {name}", (array > 0).astype(np.uint16) * value, at, part, affine)
            else:
                compare(f"dcmqi {name}", array.astype(np.uint16), at, labels, affine)
            seen += np.count_nonzero(array)
        assert seen == np.count_nonzero(labels), f"dcmqi {name}: {seen} voxels"
        meta = json.loads((scratch / "found-meta.json").read_text())
        names = [one["SegmentLabel"] for group in meta["segmentAttributes"] for one in group]
        assert set(names) <= {segment["name"] for segment in segments} | {"Background"}


def check_report(folder, labels, affine, segments):
    ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    volumes = [np.count_nonzero(labels == segment["value"]) * ml for segment in segments]
    report = hd.sr.srread(folder / "report.dcm")
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == len(segments)
    seg = hd.seg.segread(folder / "seg.dcm")
    for number, (group, segment, volume) in enumerate(zip(groups, segments, volumes), 1):
        assert group.tracking_identifier == segment["name"]
        assert group.tracking_uid == seg.get_segment_description(number).tracking_uid
        referenced = group.referenced_segment
        assert referenced.referenced_sop_instance_uid == seg.SOPInstanceUID
        [measurement] = group.get_measurements()
        assert abs(measurement.value - volume) < 1e-6, f"{measurement.value} ml, expected {volume}"
        assert measurement.unit.value == "ml"
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "report.json"
        tool("tid1500reader", "--inputDICOM", folder / "report.dcm", "--outputMetadata", out)
        read = json.loads(out.read_text())["Measurements"]
        assert [group["TrackingIdentifier"] for group in read] == [one["name"] for one in segments]
        for group, volume in zip(read, volumes):
            [item] = group["measurementItems"]
            assert abs(float(item["value"]) - volume) < 1e-6


def check_structures(folder, labels, affine, segments):
    """Rasterizes every contour by itself in its plane, and unites them."""
    data = pydicom.dcmread(folder / "structures.dcm")
    to_voxels = np.linalg.inv(affine) @ FLIP
    assert [roi.ROIName for roi in data.StructureSetROISequence] == [one["name"] for one in segments]
    for roi, segment in zip(data.ROIContourSequence, segments):
        found = np.zeros(labels.shape, bool)
        for contour in roi.get("ContourSequence", []):
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            assert len(points) == contour.NumberOfContourPoints
            at = points @ to_voxels[:3, :3].T + to_voxels[:3, 3]
            plane = int(round(at[0, 2]))
            assert np.abs(at[:, 2] - plane).max() < 1e-3
            least = np.floor(at[:, :2].min(0)).astype(int)
            most = np.ceil(at[:, :2].max(0)).astype(int) + 1
            inside = grid_points_in_poly(most - least, at[:, :2] - least)
            least, most = np.maximum(least, 0), most
            column, row = np.nonzero(inside)
            offset = np.floor(at[:, :2].min(0)).astype(int)
            found[column + offset[0], row + offset[1], plane] = True
        expected = labels == segment["value"]
        assert np.array_equal(found, expected), f"{segment['name']}: {np.sum(found != expected)} voxels differ"


def main(root):
    for folder in sorted(Path(root).iterdir()):
        labels, affine, segments = truth(folder)
        for name in ["seg.dcm", "labelmap.dcm"]:
            check_highdicom(folder, name, labels, affine, segments)
            if labels.any():
                check_dcmqi(folder, name, labels, affine, segments)
        if (folder / "regions.dcm").exists():
            check_regions(folder, labels.shape, affine)
        check_report(folder, labels, affine, segments)
        check_structures(folder, labels, affine, segments)
        print(f"{folder.name}: highdicom, dcmqi and scikit-image agree")


main(sys.argv[1])
