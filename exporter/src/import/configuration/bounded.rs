//! Values of JSON and YAML with a limit of their number: aliases of YAML repeat values without repeating their bytes.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Most values, bytes of names and bytes of texts of a configuration.
pub(super) const MAX_VALUES: usize = 1 << 20;
/// Deepest nesting, references included.
pub(super) const MAX_DEPTH: usize = 64;

/// Decodes a value while the budget lasts.
#[derive(Clone, Copy)]
pub(super) struct Bounded<'a> {
    pub left: &'a Cell<usize>,
    pub depth: usize,
}

impl Bounded<'_> {
    fn take<E: Error>(&self, count: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(count);
        let left = left.ok_or_else(|| {
            E::custom(format!(
                "it has more than {MAX_VALUES} values and bytes of text, aliases included"
            ))
        })?;
        self.left.set(left);
        Ok(())
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1);
        let depth = depth.ok_or_else(|| E::custom(format!("it has more than {MAX_DEPTH} levels")));
        Ok(Self {
            depth: depth?,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.take(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain values")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    /// Infinities become texts that name them, so that no setting is taken for absent that cannot be read.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(match Number::from_f64(value) {
            Some(number) => Value::Number(number),
            None => Value::String(value.to_string()),
        })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.take(text.len())?;
        Ok(Value::String(text.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(deeper)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(deeper)? {
            let value = entries.next_value_seed(deeper)?;
            let key = match key {
                // PyYAML merges what it refers to.
                Value::String(key) if key == "<<" => {
                    return Err(A::Error::custom(
                        "it has the merge key `<<`, which is not read: write the values in its place",
                    ));
                }
                Value::String(key) => key,
                Value::Number(key) => key.to_string(),
                Value::Bool(key) => key.to_string(),
                _ => {
                    return Err(A::Error::custom(
                        "it has a key that is neither text nor number",
                    ));
                }
            };
            // Readers disagree about which one counts.
            if map.contains_key(&key) {
                let shown: String = key.chars().take(80).collect();
                return Err(A::Error::custom(format!(
                    "it has the key `{}` twice in one mapping: leave one out",
                    shown.escape_debug()
                )));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
