//! The two fields that every document begins with, added to those of a type in JSON and removed on reading.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{CowStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Read before any other field, so that a newer version is reported as such.
#[derive(Deserialize)]
pub(super) struct DocumentHeader {
    pub format: String,
    pub format_version: u64,
}

const HEADER: [&str; 2] = ["format", "format_version"];

/// A document with its header, as it is written.
#[derive(Serialize)]
pub(super) struct WithHeader<'a, T> {
    pub format: &'static str,
    pub format_version: u32,
    #[serde(flatten)]
    pub document: &'a T,
}

/// A document without its header, as its type reads it.
pub(super) struct WithoutHeader<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for WithoutHeader<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(Fields(PhantomData))
            .map(WithoutHeader)
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(Rest(map)))
    }
}

/// The entries of a map without the header.
struct Rest<A>(A);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.0.next_key::<String>()? {
            if HEADER.contains(&key.as_str()) {
                self.0.next_value::<IgnoredAny>()?;
                continue;
            }
            let key: CowStrDeserializer<'_, A::Error> =
                std::borrow::Cow::<str>::Owned(key).into_deserializer();
            return seed.deserialize(key).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}
