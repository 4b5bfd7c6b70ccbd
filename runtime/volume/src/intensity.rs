//! intensity
