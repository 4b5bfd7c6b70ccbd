// Reads results with dcmjs and compares them with the truth beside them.
//
// Run by the tests: node read.cjs FOLDER NODE_MODULES, each folder below FOLDER holding results and truth.

const fs = require("fs");
const path = require("path");
const assert = require("assert");

const [root, modules] = process.argv.slice(2);
const dcmjs = require(modules ? path.resolve(modules, "dcmjs") : "dcmjs");
dcmjs.log.setLevel?.("error");

function read(file) {
  const bytes = fs.readFileSync(file);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const { dict } = dcmjs.data.DicomMessage.readFile(buffer);
  return dcmjs.data.DicomMetaDictionary.naturalizeDataset(dict);
}

const list = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);
const one = (value) => list(value)[0];

// Inverse of an affine of three rows.
function inverse(a) {
  const minor = (r, c) => {
    const [r0, r1] = [0, 1, 2].filter((i) => i !== r);
    const [c0, c1] = [0, 1, 2].filter((i) => i !== c);
    return a[r0][c0] * a[r1][c1] - a[r0][c1] * a[r1][c0];
  };
  const determinant = [0, 1, 2].reduce((sum, c) => sum + (-1) ** c * a[0][c] * minor(0, c), 0);
  return (p) =>
    [0, 1, 2].map((r) =>
      [0, 1, 2].reduce((sum, c) => sum + (((-1) ** (r + c) * minor(c, r)) / determinant) * (p[c] - a[c][3]), 0)
    );
}

function checkSegmentation(folder, truth, labels) {
  const data = read(path.join(folder, "seg.dcm"));
  const segments = list(data.SegmentSequence);
  assert.deepStrictEqual(segments.map((s) => s.SegmentLabel), truth.segments.map((s) => s.name));
  const { Rows: rows, Columns: columns } = data;
  const frames = list(data.PerFrameFunctionalGroupsSequence);
  assert.strictEqual(frames.length, Number(data.NumberOfFrames));
  const packed = new Uint8Array(one(data.PixelData));
  const bits = dcmjs.data.BitArray.unpack(packed);
  const shared = one(data.SharedFunctionalGroupsSequence);
  const direction = one(shared.PlaneOrientationSequence).ImageOrientationPatient.map(Number);
  const [betweenRows, betweenColumns] = one(shared.PixelMeasuresSequence).PixelSpacing.map(Number);
  const toVoxel = inverse(truth.affine);
  const [X, Y, Z] = truth.shape;
  const found = new Uint16Array(X * Y * Z);
  let count = 0;
  frames.forEach((frame, index) => {
    const number = one(frame.SegmentIdentificationSequence).ReferencedSegmentNumber;
    const position = one(frame.PlanePositionSequence).ImagePositionPatient.map(Number);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        if (!bits[(index * rows + row) * columns + column]) continue;
        count++;
        const lps = position.map(
          (p, i) => p + direction[i] * betweenColumns * column + direction[3 + i] * betweenRows * row
        );
        const at = toVoxel([-lps[0], -lps[1], lps[2]]);
        const voxel = at.map(Math.round);
        at.forEach((p, i) => assert(Math.abs(p - voxel[i]) < 1e-3, "voxels lie off the grid"));
        found[(voxel[0] * Y + voxel[1]) * Z + voxel[2]] = truth.segments[number - 1].value;
      }
    }
  });
  assert.strictEqual(count, labels.filter((value) => value > 0).length);
  assert.deepStrictEqual(found, labels);
}

function checkStructures(folder, truth) {
  const data = read(path.join(folder, "structures.dcm"));
  assert.deepStrictEqual(list(data.StructureSetROISequence).map((r) => r.ROIName), truth.segments.map((s) => s.name));
  for (const roi of list(data.ROIContourSequence)) {
    for (const contour of list(roi.ContourSequence)) {
      assert.strictEqual(contour.ContourData.length, 3 * contour.NumberOfContourPoints);
    }
  }
}

for (const name of fs.readdirSync(root).sort()) {
  const folder = path.join(root, name);
  const truth = JSON.parse(fs.readFileSync(path.join(folder, "truth.json")));
  const raw = fs.readFileSync(path.join(folder, "truth.raw"));
  const labels = new Uint16Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length));
  checkSegmentation(folder, truth, labels);
  checkStructures(folder, truth);
  const labelMap = read(path.join(folder, "labelmap.dcm"));
  assert.strictEqual(list(labelMap.PixelData).length, Number(labelMap.NumberOfFrames));
  const report = read(path.join(folder, "report.dcm"));
  assert.strictEqual(one(report.ConceptNameCodeSequence).CodeValue, "126000");
  console.log(`${name}: dcmjs agrees`);
}
