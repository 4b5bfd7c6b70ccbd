//! The user's choice of series for channels.

use std::str::FromStr;

/// A series that was chosen by hand for a channel: `CHANNEL=WHICH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenSeries {
    pub channel: String,
    pub which: Which,
}

/// The user's options for series.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choosing<'a> {
    /// Series chosen for channels.
    pub series: &'a [ChosenSeries],
    /// Whether the series of a case may lie in different frames of reference.
    pub any_frame_of_reference: bool,
}

/// How a series is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// By its UID, of any modality.
    Uid(String),
    /// By its number, among those of the channel's modality.
    Number(i64),
    /// By a pattern of its description, among those of the channel's modality.
    Description(String),
}

impl FromStr for ChosenSeries {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (channel, which) = match text.split_once('=') {
            Some((channel, which)) if !channel.trim().is_empty() && !which.trim().is_empty() => {
                (channel.trim(), which.trim())
            }
            _ => return Err("expected CHANNEL=SERIES, as in `t1=*T1*`, `t1=4` or `t1=1.2.840.7`"),
        };
        let is_uid = |text: &str| {
            text.contains('.')
                && text
                    .bytes()
                    .all(|byte| byte == b'.' || byte.is_ascii_digit())
        };
        let which = match which.parse() {
            Ok(number) => Which::Number(number),
            Err(_) if is_uid(which) => Which::Uid(which.to_owned()),
            Err(_) => Which::Description(which.to_owned()),
        };
        Ok(Self {
            channel: channel.to_owned(),
            which,
        })
    }
}
