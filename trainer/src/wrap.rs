//! Wrapping of long texts for terminals.

pub const WIDTH: usize = 100;

/// Wraps words after a prefix to lines of at most [`WIDTH`] columns; further lines are indented to the first word.
pub fn wrap(prefix: &str, words: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = prefix.to_owned();
    let mut is_new = true;
    for word in words.split(' ') {
        let fits = line.chars().count() + 1 + word.chars().count() <= WIDTH;
        if !is_new && !fits {
            lines.push(line.trim_end().to_owned());
            line = " ".repeat(prefix.chars().count());
            is_new = true;
        }
        if !is_new {
            line.push(' ');
        }
        line.push_str(word);
        is_new = false;
    }
    lines.push(line.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_rules_go_on_below_themselves() {
        let lines = wrap("  rule: ", &"word ".repeat(30));
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= WIDTH));
        assert!(lines[0].starts_with("  rule: word") && lines[1].starts_with("        word"));
    }
}
