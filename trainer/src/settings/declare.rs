//! How a setting is declared.

/// Makes the registry of its entries: the struct [`Overrides`](super::Overrides) with a field for each, a static
/// [`Setting`](super::Setting) or [`FixedDefault`](super::FixedDefault) for each, and the list of all.
///
/// An entry is a documentation comment, `field: type => STATIC "name"`, what holds where it is not set (`rule("…")` in
/// words, or `default(value, "…")`), and the fields of [`Definition`](super::Definition) and of the setting that are
/// not the usual ones.
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
        /// Decisions that the user takes instead of the planner's rules, by their names in the registry: in `task.yaml`,
        /// and on the command line as `--set NAME=VALUE`.
        ///
        /// What is set survives every rule of the planner.
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
            /// Names of all settings.
            pub const NAMES: [&'static str; [$($name),+].len()] = [$($name),+];

            /// These settings where they are set, those of `base` elsewhere.
            pub fn over(&self, base: &Self) -> Self {
                Self {
                    $($field: self.$field.clone().or_else(|| base.$field.clone()),)+
                }
            }

            /// Checks every value by itself.
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

        /// All settings, in the order that files list them.
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
