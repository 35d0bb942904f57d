//! Renders a page as Markdown, without figures. All text is escaped, so that data cannot act as markup.

use crate::page::{Block, Cell, Example, Page, Table};
use verdict_common::grouped;

impl Page {
    /// The page as Markdown, without figures.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n", escape(&self.title));
        write_blocks(&mut out, &self.blocks);
        out
    }
}

fn write_blocks(out: &mut String, blocks: &[Block]) {
    for block in blocks {
        match block {
            Block::Section(title) => *out += &format!("\n## {}\n", escape(title)),
            Block::Text(text) => *out += &format!("\n{}\n", escape(text)),
            Block::List(lines) => {
                out.push('\n');
                for line in lines {
                    *out += &format!("- {}\n", escape(line));
                }
            }
            Block::Table(table) => write_table(out, table),
            Block::Figure(_) | Block::Samples(_) => {}
            Block::Example(example) => write_example(out, example),
            Block::Fold(fold) => {
                *out += &format!("\n### {}\n", escape(&fold.summary));
                write_blocks(out, &fold.blocks);
            }
        }
    }
}

fn write_example(out: &mut String, example: &Example) {
    let mut marks = vec![escape(&example.source)];
    marks.extend(example.badges.iter().map(|badge| escape(&badge.text)));
    let id = match example.id.as_str() {
        "" => String::new(),
        id => format!(" ({})", code(id)),
    };
    *out += &format!("\n**{}**{id}\n\n", marks.join(", "));
    for (number, part) in example.parts.iter().enumerate() {
        let before = if number == 0 { "" } else { ">\n" };
        *out += &format!("{before}> {}{}\n", escape(&part.lead), escape(&part.text));
    }
}

fn write_table(out: &mut String, table: &Table) {
    *out += &format!("\n**{}**\n\n", escape(&table.caption));
    let head = table.head.iter().map(|name| escape(name));
    *out += &format!("| {} |\n", head.collect::<Vec<_>>().join(" | "));
    let rules =
        (0..table.head.len()).map(|column| if table.right(column) { "---:" } else { "---" });
    *out += &format!("| {} |\n", rules.collect::<Vec<_>>().join(" | "));
    for (number, row) in table.rows.iter().enumerate() {
        let total = table.total && number + 1 == table.rows.len();
        let cells = row.iter().map(|cell| match cell {
            Cell::Text(text) | Cell::Figure(text) => escape(text),
            Cell::Code(text) => code(text),
            Cell::Number(number) => grouped(*number),
        });
        let cells = cells.map(|cell| match total && !cell.is_empty() {
            true => format!("**{cell}**"),
            false => cell,
        });
        *out += &format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    }
}

/// Text in backticks; escaped instead where backticks cannot quote it.
fn code(text: &str) -> String {
    let fits = !text.is_empty()
        && !text.contains(['`', '|', '\\', '<', '&'])
        && !text.contains(char::is_control);
    match fits {
        true => format!("`{text}`"),
        false => escape(text),
    }
}

/// Text that Markdown shows literally: on one line, with Markdown and HTML markup escaped.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(character);
            }
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}
