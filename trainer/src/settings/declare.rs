//! Declaration of settings.

/// Generates the registry from its entries: the struct [`Overrides`](super::Overrides) with a field for each setting, a
/// static [`Setting`](super::Setting) or [`FixedDefault`](super::FixedDefault) for each, and the list of all.
///
/// An entry consists of a documentation comment, `field: type => STATIC "name"`, the value where the setting is not set
/// (`rule("…")` in words, or `default(value, "…")`), and those fields of [`Definition`](super::Definition) and of the
/// setting that differ from the usual ones.
macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $field:ident: $type:ty => $static:ident $name:literal $otherwise:ident $arguments:tt {
            category: $category:ident,
            example: $example:literal
            $(, range: $range:expr)?
            $(, aliases: $aliases:expr)?
            $(, same_run: $same_run:expr)?
            $(, search: $search:expr)?
            $(,)?
        }
    )+) => {
        /// The user's values of settings, which replace those of the planner's rules. They are set by name in
        /// `task.yaml`, or on the command line as `--set NAME=VALUE`.
        ///
        /// No rule of the planner changes them.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Overrides {
            $(
                $(#[doc = $doc])+
                #[serde(rename = $name, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )+
        }

        impl Overrides {
            pub const NAMES: [&'static str; [$($name),+].len()] = [$($name),+];

            /// The values of `self`, and those of `base` where `self` has none.
            pub fn over(&self, base: &Self) -> Self {
                Self {
                    $($field: self.$field.clone().or_else(|| base.$field.clone()),)+
                }
            }

            /// Checks each value independently.
            ///
            /// **Errors**: the first [`OutOfRange`].
            pub(super) fn check(&self) -> Result<(), OutOfRange> {
                $($static.check(self.$field.as_ref())?;)+
                Ok(())
            }
        }

        $(
            $(#[doc = $doc])+
            pub static $static: settings!(@type $otherwise $type) =
                settings!(@value $otherwise $arguments Setting {
                    definition: Definition {
                        name: $name,
                        category: Category::$category,
                        doc: concat!($($doc),+),
                        rule: settings!(@rule $otherwise $arguments),
                        example: $example,
                        $(aliases: $aliases,)?
                        $(same_run: Some($same_run),)?
                        $(search: Some($search),)?
                        ..Definition::USUAL
                    },
                    range: settings!(@range $($range)?),
                });
        )+

        /// All settings, in the order of listings.
        static ALL: &[&dyn AnySetting] = &[$(&$static),+];
    };
    (@type rule $type:ty) => { Setting<$type> };
    (@type default $type:ty) => { FixedDefault<$type> };
    (@rule rule ($rule:literal)) => { $rule };
    (@rule default ($default:expr, $rule:literal)) => { $rule };
    (@value rule $arguments:tt $setting:expr) => { $setting };
    (@value default ($default:expr, $rule:literal) $setting:expr) => {
        FixedDefault {
            setting: $setting,
            default: || $default,
        }
    };
    (@range) => { Range::ANY };
    (@range $range:expr) => { $range };
}

pub(super) use settings;
