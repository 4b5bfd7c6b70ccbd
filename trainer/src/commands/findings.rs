//! Findings on a terminal.

use std::path::Path;

use vesal_cli::Text;
use vesal_trainer::analyze::findings::{Finding, FindingKind, Findings, Severity};

/// Number of findings of one kind that are listed; the others are only counted.
const TOLD_OF_A_KIND: usize = 5;
/// Number of cases of one finding that are named.
const CASES_TOLD: usize = 3;

/// The findings as text, grouped by kind, each kind with its advice; empty where there are none.
pub fn tell(findings: &Findings, path: &Path) -> Text {
    let summary = summary(findings, path);
    let findings = &findings.findings;
    if findings.is_empty() {
        return summary;
    }
    let mut kinds: Vec<(Severity, FindingKind)> = findings
        .iter()
        .map(|finding| (finding.severity, finding.kind))
        .collect();
    kinds.sort_by_key(|&(severity, kind)| (severity, kind));
    kinds.dedup();
    let mut text = Text::new();
    for (severity, kind) in kinds {
        let of_kind: Vec<&Finding> = findings
            .iter()
            .filter(|finding| (finding.severity, finding.kind) == (severity, kind))
            .collect();
        let severity = match severity {
            Severity::Error => "left out",
            Severity::Warning => "warning",
        };
        text.line(format!("{severity}: {} ({})", kind.title(), of_kind.len()));
        let told = &of_kind[..of_kind.len().min(TOLD_OF_A_KIND)];
        let names: Vec<String> = told.iter().map(|finding| names(finding)).collect();
        let width = names.iter().map(|name| name.chars().count()).max();
        for (name, finding) in names.iter().zip(told) {
            let line = format!("  {name:<0$}  {1}", width.unwrap_or(0), finding.message);
            text.line(line.trim_end());
        }
        if of_kind.len() > told.len() {
            text.line(format!("  and {} more", of_kind.len() - told.len()));
        }
        let mut hints: Vec<&str> = told.iter().map(|finding| finding.hint.as_str()).collect();
        hints.dedup();
        for hint in hints {
            text.line(format!("  remedy: {hint}"));
        }
        text.blank();
    }
    text.append(summary);
    text
}

/// The number of findings in a line, and where they are; empty where there are none.
pub fn summary(findings: &Findings, path: &Path) -> Text {
    let mut text = Text::new();
    if !findings.findings.is_empty() {
        text.line(format!(
            "{}, {} of {} left out; all findings are in `{}`",
            count(findings.findings.len(), "finding"),
            findings.n_excluded,
            count(findings.n_cases, "case"),
            path.display()
        ));
    }
    text
}

fn names(finding: &Finding) -> String {
    match finding.cases.as_slice() {
        [] => "dataset".to_owned(),
        cases if cases.len() <= CASES_TOLD => cases.join(", "),
        cases => {
            let told = cases[..CASES_TOLD].join(", ");
            format!("{told} and {} more", cases.len() - CASES_TOLD)
        }
    }
}

/// A number with its unit: `1 case`, `2 cases`.
pub fn count(number: usize, of: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {of}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(kind: FindingKind, severity: Severity, case: &str) -> Finding {
        Finding {
            kind,
            severity,
            cases: vec![case.to_owned()],
            message: format!("{case} is odd"),
            hint: kind.hint().to_owned(),
            files: Vec::new(),
            labels: Vec::new(),
            position: None,
        }
    }

    #[test]
    fn kinds_are_told_together_and_long_lists_are_cut() {
        let mut all = vec![finding(FindingKind::EmptyLabel, Severity::Warning, "b")];
        let missing = (0..7).map(|index| {
            finding(
                FindingKind::MissingFile,
                Severity::Error,
                &format!("case_{index}"),
            )
        });
        all.extend(missing);
        let text = tell(&Findings::new(20, all), Path::new("w/findings.json"));
        let expected = "\
left out: missing file (7)
  case_0  case_0 is odd
  case_1  case_1 is odd
  case_2  case_2 is odd
  case_3  case_3 is odd
  case_4  case_4 is odd
  and 2 more
  remedy: correct the path in the datalist, or set `dataroot` (--dataroot DIR)

warning: empty label map (1)
  b  b is odd
  remedy: check that nothing is to be segmented in the image

8 findings, 7 of 20 cases left out; all findings are in `w/findings.json`
";
        assert_eq!(text.as_str(), expected);
        let none = Findings::new(20, Vec::new());
        assert_eq!(tell(&none, Path::new("x")), Text::new());
        assert_eq!(summary(&none, Path::new("x")), Text::new());
    }

    #[test]
    fn a_summary_is_the_last_line() {
        let all = vec![finding(FindingKind::MissingFile, Severity::Error, "a")];
        let summary = summary(&Findings::new(2, all), Path::new("w/findings.json"));
        let expected = "1 finding, 1 of 2 cases left out; all findings are in `w/findings.json`\n";
        assert_eq!(summary.as_str(), expected);
    }
}
