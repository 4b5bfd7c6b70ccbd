//! Writes files beside their destination and renames them.
