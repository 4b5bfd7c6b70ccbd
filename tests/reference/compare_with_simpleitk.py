"""Compares what is read of MetaImage and NRRD files with SimpleITK: voxels and geometry of random images.

    python3 tests/reference/compare_with_simpleitk.py FOLDER

Needs SimpleITK and numpy. Writes 200 MetaImage and 200 NRRD files into FOLDER, by SimpleITK and by hand (fields that it
reads and never writes), has the example `dump_images` read them, and compares. FOLDER may be new.
"""

import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

TYPES = {
    "u1": ("MET_UCHAR", "uint8"),
    "i1": ("MET_CHAR", "int8"),
    "u2": ("MET_USHORT", "ushort"),
    "i2": ("MET_SHORT", "short"),
    "u4": ("MET_UINT", "unsigned int"),
    "i4": ("MET_LONG", "int"),
    "u8": ("MET_ULONG_LONG", "uint64_t"),
    "i8": ("MET_LONG_LONG", "long long"),
    "f4": ("MET_FLOAT", "float"),
    "f8": ("MET_DOUBLE", "double"),
}


def rotation(rng):
    matrix, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    if rng.random() < 0.4:
        matrix = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], size=3)[:, None]
    return matrix


def values(rng, kind, shape):
    if kind[0] == "f":
        return rng.normal(scale=1000, size=shape).astype(kind)
    info = np.iinfo(kind)
    # What f32 holds exactly: SimpleITK reads integers, and f32 is what is compared.
    low, high = max(info.min, -(1 << 24)), min(info.max, 1 << 24)
    return rng.integers(low, high, size=shape, endpoint=True).astype(kind)


def by_simpleitk(rng, path, kind, shape, channels):
    array = values(rng, kind, (*shape[::-1], channels) if channels > 1 else shape[::-1])
    image = sitk.GetImageFromArray(array, isVector=channels > 1)
    image.SetSpacing(rng.uniform(0.3, 5, size=3).tolist())
    image.SetOrigin(rng.uniform(-300, 300, size=3).tolist())
    image.SetDirection(rotation(rng).ravel().tolist())
    sitk.WriteImage(image, str(path), bool(rng.random() < 0.5))


def numbers(array):
    return " ".join(repr(float(value)) for value in np.ravel(array))


def metaimage_by_hand(rng, path, kind, shape, channels):
    order = rng.choice(["<", ">"])
    last = [channels] if channels > 1 and rng.random() < 0.5 else []
    inner = channels if channels > 1 and not last else 1
    sizes = [*shape, *last]
    data = values(rng, kind, (*sizes[::-1], inner)).astype(order + kind)
    axes = len(sizes)
    matrix = np.eye(axes)
    matrix[:3, :3] = rotation(rng)
    spacing = np.append(rng.uniform(0.3, 5, size=3), [1] * (axes - 3))
    if rng.random() < 0.2:
        spacing[rng.integers(3)] *= -1
    origin = np.append(rng.uniform(-300, 300, size=3), [0] * (axes - 3))
    fields = [
        ("ObjectType", "Image"),
        ("NDims", axes),
        ("BinaryData", "True"),
        (rng.choice(["BinaryDataByteOrderMSB", "ElementByteOrderMSB"]), order == ">"),
        ("CenterOfRotation", numbers(np.full(axes, 7.0))),
        ("AnatomicalOrientation", rng.choice(["RAI", "LPS", "??????"])),
        (rng.choice(["ElementSpacing", "ElementSize"]), numbers(spacing)),
        ("DimSize", " ".join(map(str, sizes))),
        ("ElementType", TYPES[kind][0] + ("_ARRAY" if inner > 1 and rng.random() < 0.3 else "")),
    ]
    if inner > 1:
        fields.append(("ElementNumberOfChannels", inner))
    if rng.random() < 0.8:
        fields.append((rng.choice(["TransformMatrix", "Rotation", "Orientation"]), numbers(matrix)))
    if rng.random() < 0.8:
        fields.append((rng.choice(["Offset", "Position", "Origin"]), numbers(origin)))
    is_compressed = rng.random() < 0.4
    pack = zlib.compress if is_compressed else bytes
    stem = path.name
    where = "local"
    if path.suffix == ".mhd":
        where = rng.choice(["file", "list", "pattern"])
    slabs = [data.tobytes()]
    if where in ("list", "pattern"):
        is_compressed, pack = False, bytes
        slabs = [slab.tobytes() for slab in data]
    names = [f"{stem}_{number:03}.raw" for number in range(1, len(slabs) + 1)]
    packed = [pack(slab) for slab in slabs]
    if is_compressed:
        fields += [("CompressedData", True), ("CompressedDataSize", len(packed[0]))]
    target = {
        "local": "LOCAL",
        "file": names[0],
        "list": "\n".join(["LIST", *names]),
        "pattern": f"{stem}_%03d.raw 1 {len(slabs)} 1",
    }[where]
    text = "".join(f"{name} = {value}\n" for name, value in [*fields, ("ElementDataFile", target)])
    if where == "local":
        path.write_bytes(text.encode() + packed[0])
    else:
        path.write_text(text)
        for name, slab in zip(names, packed):
            (path.parent / name).write_bytes(slab)


def nrrd_by_hand(rng, path, kind, shape, channels):
    order = rng.choice(["<", ">"])
    sizes = [channels, *shape] if channels > 1 else list(shape)
    data = values(rng, kind, sizes[::-1]).astype(order + kind).tobytes()
    space = rng.choice(["left-posterior-superior", "right-anterior-superior", "LPS", "RAS", "LAS"])
    matrix = rotation(rng) * rng.uniform(0.3, 5, size=3)[:, None]

    def vector(row):
        return "(" + ",".join(repr(float(value)) for value in row) + ")"

    fields = [
        ("type", TYPES[kind][1]),
        ("dimension", len(sizes)),
        ("space", space),
        ("sizes", " ".join(map(str, sizes))),
        ("space directions", " ".join((["none"] if channels > 1 else []) + [vector(row) for row in matrix])),
        ("kinds", " ".join((["vector"] if channels > 1 else []) + ["domain"] * 3)),
        ("endian", "big" if order == ">" else "little"),
        ("space origin", vector(rng.uniform(-300, 300, size=3))),
    ]
    is_gzip = rng.random() < 0.5
    fields.append(("encoding", "gzip" if is_gzip else "raw"))
    data = gzip.compress(data) if is_gzip else data
    if path.suffix == ".nhdr":
        fields.append(("data file", path.name + ".bin"))
        (path.parent / (path.name + ".bin")).write_bytes(data)
        data = b""
    text = "NRRD0005\n" + "".join(f"{name}: {value}\n" for name, value in fields) + "\n"
    path.write_bytes(text.encode() + data)


def expected(path):
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    channels = image.GetNumberOfComponentsPerPixel()
    axes = image.GetDimension()
    spatial = np.asarray(image.GetDirection()).reshape(axes, axes)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = spatial * np.asarray(image.GetSpacing())[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    affine = np.diag([-1, -1, 1, 1]) @ affine
    if channels > 1:
        array = np.moveaxis(array, -1, 0)
    elif axes == 3:
        array = array[None]
    return array.transpose(0, 3, 2, 1).astype(np.float32), affine


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20)
    made = []
    for index in range(200):
        for attached, detached, by_hand in [(".mha", ".mhd", metaimage_by_hand), (".nrrd", ".nhdr", nrrd_by_hand)]:
            path = folder / f"image_{index:03}{rng.choice([attached, detached])}"
            kind = rng.choice(list(TYPES))
            shape = rng.integers(2, 9, size=3).tolist()
            channels = int(rng.choice([1, 1, 2, 3]))
            write = by_hand if rng.random() < 0.6 else by_simpleitk
            write(rng, path, kind, shape, channels)
            made.append(path)
    command = ["cargo", "run", "-q", "-p", "vesal-io", "--example", "dump_images", "--", str(folder)]
    subprocess.run(command, check=True)
    wrong, furthest = 0, 0.0
    for path in made:
        about = json.loads(Path(f"{path}.json").read_text())
        array, affine = expected(path)
        if "error" in about:
            print(path.name, about["error"])
            wrong += 1
            continue
        found = np.fromfile(f"{path}.f32", "<f4").reshape(about["shape"])
        apart = np.abs(np.array(about["affine"]) - affine).max()
        furthest = max(furthest, apart)
        if found.shape != array.shape or not np.array_equal(found, array) or apart > 1e-9:
            print(path.name, found.shape, array.shape, "affines are apart by", apart)
            wrong += 1
    print(f"{len(made)} images, {wrong} differ; affines are at most {furthest:.1e} apart")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1])) else 0)
