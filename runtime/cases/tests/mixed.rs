//! Evidence over many mixed studies, from files to results: for any mixture in a folder, each result has patient, study
//! and frame of reference of all its sources, and no series is lost silently.

#[path = "../../io/tests/dicom_files/mod.rs"]
mod dicom_files;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dicom_files::{
    EXPLICIT, Elements, FRAME_OF_REFERENCE, INSTANCE, MODALITY, MR, PATIENT_ID, PATIENT_NAME,
    PIXELS, SERIES, SOP_CLASS, STUDY, image,
};
use ndarray::Array3;
use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::{Activation, Channel, Label, Modality};
use vesal_cases::{Assessed, Candidate, CaseInput, CheckedCase, Choosing, ReadError, find};
use vesal_io::dicom::Policy;
use vesal_io::dicom::write::{
    AlgorithmIdentification, Moment, ResultOptions, Segment, SegmentationType, SegmentedMap,
    SourceImages, write_report, write_segmentation,
};
use vesal_volume::window::{Blend, Padding, WindowPlan};
use vesal_volume::{Geometry, LabelMap};

/// Studies in all, and in a folder.
const STUDIES: usize = 2000;
const TOGETHER: usize = 50;

const SLICES: usize = 4;

const BIRTH_DATE: (u16, u16) = (0x0010, 0x0030);
const DESCRIPTION: (u16, u16) = (0x0008, 0x103e);

/// Numbers without pattern: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

/// The defect of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    None,
    /// All files are there twice.
    Duplicates,
    /// A series that no channel takes is beside the others.
    Further,
    Missing,
    OtherPatient,
    OtherBirthDate,
    OtherFrame,
    /// A slice in the middle is missing.
    Cut,
    /// A slice of another patient lies in the series.
    Stray,
    /// Both the first version and one with a corrected patient, under the same UIDs.
    Corrected,
    /// Both the first version and one with other pixels, under the same UIDs.
    Redone,
    /// A slice has lost its pixels.
    Damaged,
}

impl Fault {
    const ALL: [Self; 12] = [
        Self::None,
        Self::Duplicates,
        Self::Further,
        Self::Missing,
        Self::OtherPatient,
        Self::OtherBirthDate,
        Self::OtherFrame,
        Self::Cut,
        Self::Stray,
        Self::Corrected,
        Self::Redone,
        Self::Damaged,
    ];

    /// Whether there is a result nevertheless.
    fn gives_result(self) -> bool {
        matches!(self, Self::None | Self::Duplicates | Self::Further)
    }
}

#[derive(Debug, Clone)]
struct Patient {
    name: String,
    id: String,
    born: &'static str,
}

impl Patient {
    fn new(number: usize) -> Self {
        Self {
            name: format!("PATIENT{number}^NAME"),
            id: format!("ID-{number}"),
            born: "19700101",
        }
    }
}

#[derive(Debug, Clone)]
struct Study {
    number: usize,
    patient: Patient,
    fault: Fault,
}

impl Study {
    fn uid(&self) -> String {
        format!("1.9.{}", self.number)
    }

    fn series(&self, channel: usize) -> String {
        format!("{}.{}", self.uid(), 100 + channel)
    }

    fn frame_of_reference(&self) -> String {
        format!("{}.7", self.uid())
    }

    fn instance(&self, channel: usize, slice: usize) -> String {
        format!("{}.{slice}", self.series(channel))
    }

    fn slice(&self, channel: usize, slice: usize) -> Elements {
        let Patient { name, id, born } = &self.patient;
        let pixels: Vec<u16> = (0..6)
            .map(|pixel| (self.number * 7 + channel * 31 + slice * 3 + pixel) as u16 % 999)
            .collect();
        image()
            .text(SOP_CLASS, b"UI", MR)
            .text(MODALITY, b"CS", "MR")
            .text(DESCRIPTION, b"LO", ["ax t1", "ax t2", "other"][channel])
            .text(PATIENT_NAME, b"PN", name)
            .text(PATIENT_ID, b"LO", id)
            .text(BIRTH_DATE, b"DA", born)
            .text(STUDY, b"UI", &self.uid())
            .text(SERIES, b"UI", &self.series(channel))
            .text(INSTANCE, b"UI", &self.instance(channel, slice))
            .text(FRAME_OF_REFERENCE, b"UI", &self.frame_of_reference())
            .at([1.0, 2.0, 2.5 * slice as f64])
            .pixels(&pixels)
    }

    /// Its files as they were sent.
    fn files(&self) -> Vec<Elements> {
        let channels = if self.fault == Fault::Further { 3 } else { 2 };
        let mut files = Vec::new();
        for channel in 0..channels {
            for slice in 0..SLICES {
                let mut file = self.slice(channel, slice);
                let middle = slice == 1;
                match (self.fault, channel) {
                    (Fault::Missing, 1) => continue,
                    (Fault::Cut, 0) if middle => continue,
                    (Fault::OtherPatient, 1) => {
                        file = file.text(PATIENT_ID, b"LO", "ID-OTHER");
                    }
                    (Fault::OtherBirthDate, 1) => file = file.text(BIRTH_DATE, b"DA", "19710101"),
                    (Fault::OtherFrame, 1) => {
                        file = file.text(FRAME_OF_REFERENCE, b"UI", &format!("{}.8", self.uid()));
                    }
                    (Fault::Stray, 1) if middle => {
                        file = file.text(PATIENT_NAME, b"PN", "STRAY^NAME");
                    }
                    (Fault::Damaged, 0) if middle => file = file.without(PIXELS),
                    _ => {}
                }
                match self.fault {
                    Fault::Duplicates => files.push(file.clone()),
                    Fault::Corrected => {
                        files.push(file.clone().text(PATIENT_NAME, b"PN", "CORRECTED^NAME"));
                    }
                    Fault::Redone if channel == 1 && middle => {
                        files.push(file.clone().pixels(&[9; 6]));
                    }
                    _ => {}
                }
                files.push(file);
            }
        }
        files
    }
}

/// Saves the files of several senders as they come, one from here and one from there.
fn save(folder: &Path, studies: &[Study], random: &mut Random) {
    let mut files: Vec<Elements> = studies.iter().flat_map(Study::files).collect();
    for last in (1..files.len()).rev() {
        files.swap(last, random.below(last + 1));
    }
    for (index, file) in files.iter().enumerate() {
        let below = folder.join(format!("{}", index % 2));
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join(format!("{index:05}")), file.file(EXPLICIT)).unwrap();
    }
}

fn plan() -> DeployPlan {
    let channel = |name: &str| {
        let mut channel = Channel::new(name, Modality::Mri);
        channel.series_descriptions = vec![format!("*{name}*")];
        channel
    };
    DeployPlan {
        restore: Default::default(),
        name: "task".into(),
        channels: vec![channel("t1"), channel("t2")],
        labels: vec![Label::new("background", 0, 0), Label::new("liver", 1, 1)],
        activation: Activation::Softmax,
        preprocessing: Vec::new(),
        window: WindowPlan {
            size: [1; 3],
            overlap: [0.0; 3],
            blend: Blend::Constant,
            padding: Padding::Constant(0.0),
        },
    }
}

fn source(
    stacks: Vec<vesal_io::dicom::Stack>,
    plan: &DeployPlan,
) -> Result<SourceImages, ReadError> {
    let assessed = Assessed::of(stacks, Policy::Strict)?;
    let images = CheckedCase::stacks(assessed, plan)?.read()?;
    Ok(images.origin.source.unwrap())
}

/// A result as it can be read in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    patient: [String; 3],
    study: String,
    frame_of_reference: String,
    /// Instances that it was made of.
    instances: BTreeSet<String>,
    /// Its own UIDs: instance, series, tracking.
    uids: [String; 3],
}

/// All values of an element, by its tag and representation, at any depth of an explicit data set.
fn values(bytes: &[u8], (group, element): (u16, u16), vr: &[u8; 2]) -> Vec<String> {
    let head = [&group.to_le_bytes()[..], &element.to_le_bytes(), vr].concat();
    let at = bytes.windows(head.len()).enumerate();
    at.filter(|(_, part)| *part == head)
        .map(|(at, _)| {
            let length = u16::from_le_bytes([bytes[at + 6], bytes[at + 7]]);
            let value = &bytes[at + 8..][..usize::from(length)];
            let text = String::from_utf8_lossy(value);
            text.trim_end_matches(['\0', ' ']).to_owned()
        })
        .collect()
}

impl Found {
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let all = |tag, vr| values(&bytes, tag, vr);
        let first = |tag, vr| all(tag, vr)[0].clone();
        Self {
            patient: [
                first(PATIENT_NAME, b"PN"),
                first(PATIENT_ID, b"LO"),
                first(BIRTH_DATE, b"DA"),
            ],
            study: first(STUDY, b"UI"),
            frame_of_reference: first(FRAME_OF_REFERENCE, b"UI"),
            instances: all((0x0008, 0x1155), b"UI").into_iter().collect(),
            uids: [
                first(INSTANCE, b"UI"),
                all(SERIES, b"UI").pop().unwrap(),
                first((0x0062, 0x0021), b"UI"),
            ],
        }
    }
}

/// Writes what was found in a source, and reads it back.
fn written(folder: &Path, source: &SourceImages) -> Found {
    let grid = Geometry {
        shape: [3, 2, SLICES],
        affine: vesal_volume::Affine::from_parts(
            [[-1.5, 0.0, 0.0], [0.0, -2.0, 0.0], [0.0, 0.0, 2.5]],
            [-1.0, -2.0, 0.0],
        ),
    };
    let map = LabelMap {
        data: Array3::ones(grid.shape),
        affine: grid.affine,
    };
    let segments = [Segment::named(1, "liver")];
    let segmented = SegmentedMap {
        map: &map,
        segments: &segments,
        regions: false,
    };
    let algorithm = AlgorithmIdentification {
        name: "task".into(),
        version: "1".into(),
        digest: "5c".repeat(32),
        parameters: None,
    };
    let options = ResultOptions {
        overwrite: true,
        made: Moment::now(),
        series_number: None,
        key: None,
    };
    let seg = folder.join("seg.dcm");
    let form = SegmentationType::Binary;
    let reference = write_segmentation(&seg, &segmented, source, &algorithm, form, &options);
    let reference = reference.unwrap();
    let found = Found::read(&seg);
    assert_eq!(
        found.uids[..2],
        [reference.instance.clone(), reference.series.clone()]
    );
    // The report says the same of patient and study.
    let report = folder.join("report.dcm");
    write_report(
        &report, &segmented, &reference, source, &algorithm, &options,
    )
    .unwrap();
    let bytes = fs::read(&report).unwrap();
    assert_eq!(
        values(&bytes, PATIENT_NAME, b"PN"),
        [found.patient[0].clone()]
    );
    assert_eq!(
        values(&bytes, PATIENT_ID, b"LO"),
        [found.patient[1].clone()]
    );
    found
}

/// Outcomes of the studies of a folder.
#[derive(Default)]
struct Outcome {
    results: BTreeMap<String, Found>,
    /// Why there is none, by study.
    refusals: BTreeMap<String, String>,
    notes: Vec<String>,
}

fn outcome(folder: &Path, plan: &DeployPlan) -> Outcome {
    let input: PathBuf = folder.to_owned();
    let found = find(&[input], &plan.channels, Choosing::default());
    let mut outcome = Outcome {
        notes: found.notes,
        ..Outcome::default()
    };
    let results = tempfile::tempdir().unwrap();
    for Candidate { name, input } in found.candidates {
        let study = |series: &str| series.rsplit_once('.').unwrap().0.to_owned();
        let refused = match input {
            Ok(CaseInput::Stacks(stacks)) => match source(stacks, plan) {
                Ok(source) => {
                    let found = written(results.path(), &source);
                    assert!(outcome.results.insert(found.study.clone(), found).is_none());
                    continue;
                }
                Err(reason) => reason.to_string(),
            },
            Ok(CaseInput::Files(_)) => panic!("{name} is NIfTI"),
            Err(reason) => reason.to_string(),
        };
        let before = outcome.refusals.insert(study(&name), refused);
        assert!(before.is_none(), "{name} is refused twice");
    }
    outcome
}

fn check(study: &Study, outcome: &Outcome) {
    let uid = study.uid();
    if !study.fault.gives_result() {
        assert!(!outcome.results.contains_key(&uid), "{study:?}");
        let reason = &outcome.refusals[&uid];
        assert!(reason.contains(&uid), "{study:?}: {reason}");
        for private in [&*study.patient.name, &*study.patient.id, "19700101", "NAME"] {
            assert!(!reason.contains(private), "{reason}");
        }
        return;
    }
    assert!(!outcome.refusals.contains_key(&uid), "{study:?}");
    let found = &outcome.results[&uid];
    let Patient { name, id, born } = &study.patient;
    assert_eq!(
        found.patient,
        [name.clone(), id.clone(), (*born).to_owned()]
    );
    assert_eq!(found.frame_of_reference, study.frame_of_reference());
    let sources = (0..2).flat_map(|channel| (0..SLICES).map(move |slice| (channel, slice)));
    let instances: BTreeSet<String> = sources
        .map(|(channel, slice)| study.instance(channel, slice))
        .collect();
    assert_eq!(found.instances, instances, "{study:?}");
}

#[test]
fn no_study_of_many_is_mixed_up_or_lost() {
    let plan = plan();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut uids = BTreeSet::new();
    let mut faults: BTreeMap<Fault, usize> = BTreeMap::new();
    for first in (0..STUDIES).step_by(TOGETHER) {
        let studies: Vec<Study> = (first..first + TOGETHER)
            .map(|number| Study {
                number,
                // Several studies of one patient, and several patients in a folder.
                patient: Patient::new(first + random.below(12)),
                fault: match random.below(2) {
                    0 => Fault::None,
                    _ => Fault::ALL[random.below(Fault::ALL.len())],
                },
            })
            .collect();
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &studies, &mut random);
        let outcome = outcome(folder.path(), &plan);
        // Every study appears exactly once, and nothing else does.
        assert_eq!(
            outcome.results.len() + outcome.refusals.len(),
            studies.len()
        );
        for study in &studies {
            check(study, &outcome);
            *faults.entry(study.fault).or_default() += 1;
        }
        for found in outcome.results.values() {
            for uid in &found.uids {
                assert!(uids.insert(uid.clone()), "{uid} is there twice");
            }
        }
        let further = studies.iter().filter(|study| study.fault == Fault::Further);
        let told = outcome
            .notes
            .iter()
            .find(|note| note.contains("that no channel takes"));
        let told = told.map_or(0, |note| {
            let listed = note.matches("(MR").count() + note.matches(", MR").count();
            let more = note.rsplit_once(" and ").map(|(_, more)| more);
            let more = more.and_then(|more| more.strip_suffix(" more"));
            listed + more.map_or(0, |more| more.parse::<usize>().unwrap())
        });
        assert_eq!(told, further.count(), "{:?}", outcome.notes);
        again(&studies, &outcome, &plan, &mut random);
    }
    // All kinds of studies were among them.
    assert_eq!(faults.len(), Fault::ALL.len());
    assert_eq!(faults.values().sum::<usize>(), STUDIES);
}

/// Sends some studies again: as they were, and with corrections under the same UIDs.
fn again(studies: &[Study], before: &Outcome, plan: &DeployPlan, random: &mut Random) {
    let good = studies.iter().filter(|study| study.fault == Fault::None);
    for study in good.take(2) {
        let old = &before.results[&study.uid()];
        let sent = |study: &Study, random: &mut Random| {
            let folder = tempfile::tempdir().unwrap();
            save(folder.path(), std::slice::from_ref(study), random);
            let mut results = outcome(folder.path(), plan).results;
            results.remove(&study.uid()).unwrap()
        };
        assert_eq!(sent(study, random), *old);
        let mut corrected = study.clone();
        corrected.patient.name = "CORRECTED^NAME".into();
        let new = sent(&corrected, random);
        for (new, old) in new.uids.iter().zip(&old.uids) {
            assert_ne!(new, old);
        }
        assert_eq!(new.patient[0], "CORRECTED^NAME");
        assert_eq!((&new.study, &new.instances), (&old.study, &old.instances));
    }
}
