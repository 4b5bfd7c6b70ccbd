//! Structure of the page: sections, tables and figures, with all text escaped.

use std::fmt::Write as _;

/// Inline style of the page; it follows the reader's choice of light or dark, and suits print.
const STYLE: &str = include_str!("page.css");

/// A part of the page with a heading of its own.
#[derive(Debug)]
pub struct Section {
    id: &'static str,
    title: &'static str,
    body: String,
}

impl Section {
    pub fn new(id: &'static str, title: &'static str) -> Self {
        Self {
            id,
            title,
            body: String::new(),
        }
    }

    pub fn markup(&mut self, markup: &str) {
        self.body.push_str(markup);
        self.body.push('\n');
    }

    /// Adds a heading below the section's own.
    pub fn heading(&mut self, text: &str) {
        let _ = writeln!(self.body, "<h3>{}</h3>", escaped(text));
    }

    pub fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", with_code(text));
    }

    /// Adds a remark.
    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p class=\"note\">{}</p>", with_code(text));
    }

    /// Adds a remark about missing data, with the command that makes them.
    pub fn missing(&mut self, what: &str, command: &str) {
        let _ = writeln!(
            self.body,
            "<p class=\"note\">{} <code>{}</code> makes it.</p>",
            escaped(what),
            escaped(command)
        );
    }

    /// Adds plots or pictures side by side.
    pub fn gallery(&mut self, items: &[String]) {
        if !items.is_empty() {
            self.markup(&format!("<div class=\"gallery\">{}</div>", items.concat()));
        }
    }

    /// Adds a legend of the colors in pictures.
    pub fn key(&mut self, colors: &[([u8; 3], &str)]) {
        self.body.push_str("<p class=\"key\">");
        for ([red, green, blue], name) in colors {
            let _ = write!(
                self.body,
                "<span style=\"background:rgb({red},{green},{blue})\"></span><b>{}</b> ",
                escaped(name)
            );
        }
        self.body.push_str("</p>\n");
    }

    /// Adds a table; the first cell of each row is its header.
    pub fn table(&mut self, caption: &str, header: &[&str], rows: &[Vec<String>]) {
        let caption = escaped(caption);
        let _ = writeln!(
            self.body,
            "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\"><table><caption>{caption}</caption>"
        );
        self.body.push_str("<thead><tr>");
        for (column, name) in header.iter().enumerate() {
            let first = rows.first().and_then(|row| row.get(column));
            let is_right = column > 0 && first.is_some_and(|cell| is_number(cell));
            let class = if is_right { " class=\"n\"" } else { "" };
            let _ = write!(self.body, "<th scope=\"col\"{class}>{}</th>", escaped(name));
        }
        self.body.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.body.push_str("<tr>");
            for (column, cell) in row.iter().enumerate() {
                let cell_text = with_code(cell);
                let _ = match column {
                    0 => write!(self.body, "<th scope=\"row\">{cell_text}</th>"),
                    _ if is_number(cell) => write!(self.body, "<td class=\"n\">{cell_text}</td>"),
                    _ => write!(self.body, "<td>{cell_text}</td>"),
                };
            }
            self.body.push_str("</tr>\n");
        }
        self.body.push_str("</tbody></table></div>\n");
    }
}

/// Whether a cell is right-aligned.
fn is_number(cell: &str) -> bool {
    cell.starts_with(|first: char| first.is_ascii_digit() || "-–".contains(first))
        && cell.len() < 14
        && !cell.contains(char::is_alphabetic)
}

/// A picture or plot with a caption.
pub fn figure(content: &str, caption: &str) -> String {
    format!(
        "<figure>{content}<figcaption>{}</figcaption></figure>",
        escaped(caption)
    )
}

pub fn page(title: &str, lead: &str, sections: &[Section]) -> String {
    let title = escaped(title);
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <link rel=\"icon\" href=\"data:,\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n<p>{}</p>\n\
         </header>\n<nav aria-label=\"Contents\"><ul>\n",
        escaped(lead)
    );
    for section in sections {
        let _ = writeln!(
            text,
            "<li><a href=\"#{}\">{}</a></li>",
            section.id,
            escaped(section.title)
        );
    }
    text.push_str("</ul></nav>\n<main>\n");
    for Section { id, title, body } in sections {
        let _ = write!(
            text,
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{}</h2>\n{body}</section>\n",
            escaped(title)
        );
    }
    let _ = write!(
        text,
        "</main>\n<footer><p>Written by vesal-train {}. For research use.</p></footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    text
}

/// Escapes text for an element or a quoted attribute; characters that XML does not allow are replaced.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(' '),
            // Direction controls, which would reorder the surrounding text.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                safe.push('\u{fffd}');
            }
            other if other.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

/// Escapes text, and marks parts between backticks as code.
pub fn with_code(text: &str) -> String {
    let parts: Vec<String> = text.split('`').map(escaped).collect();
    if parts.len().is_multiple_of(2) {
        return parts.join("`");
    }
    let mut marked = String::new();
    for (index, part) in parts.iter().enumerate() {
        match index % 2 {
            0 => marked.push_str(part),
            _ => {
                let _ = write!(marked, "<code>{part}</code>");
            }
        }
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escaped("a<b>&\"'\u{0}\u{202e}\n"),
            "a&lt;b&gt;&amp;&quot;&#39;\u{fffd}\u{fffd} "
        );
    }

    #[test]
    fn only_pairs_of_backticks_are_code() {
        assert_eq!(with_code("a `<b>` c"), "a <code>&lt;b&gt;</code> c");
        assert_eq!(with_code("a ` c"), "a ` c");
    }

    #[test]
    fn numbers_stand_on_the_right() {
        for (cell, expected) in [("0.5", true), ("-3", true), ("3 of 4", false), ("", false)] {
            assert_eq!(is_number(cell), expected, "{cell}");
        }
    }
}
