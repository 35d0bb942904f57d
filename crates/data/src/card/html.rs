//! A card as one HTML file: no script, nothing loaded from elsewhere, light or dark as the reader's system is.

use super::figures::Figure;
use super::page::{Block, Cell, Example, Page, Table, grouped};
use super::svg::WIDTH;

/// Bytes of a text that needs a column of some width.
const LONG: usize = 40;

/// The whole file.
pub(super) fn write(page: &Page) -> String {
    let title = escape(&page.title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n",
        STYLE = include_str!("style.css")
    );
    let mut blocks = page.blocks.iter().peekable();
    let (mut number, mut tables, mut in_section) = (0, 0, false);
    while let Some(block) = blocks.next() {
        match block {
            Block::Section(name) => {
                if in_section {
                    out += "</section>\n";
                } else {
                    contents(&mut out, page);
                }
                in_section = true;
                let id = slug(name);
                out += &format!(
                    "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>\n",
                    escape(name)
                );
            }
            Block::Text(text) => out += &format!("<p>{}</p>\n", escape(text)),
            Block::List(lines) => {
                out += "<ul>\n";
                for line in lines {
                    out += &format!("<li>{}</li>\n", escape(line));
                }
                out += "</ul>\n";
            }
            Block::Table(table) => {
                tables += 1;
                write_table(&mut out, table, tables);
            }
            Block::Figure(figure) => {
                out += "<div class=\"figures\">\n";
                number += 1;
                write_figure(&mut out, figure, number);
                while let Some(Block::Figure(figure)) =
                    blocks.next_if(|block| matches!(block, Block::Figure(_)))
                {
                    number += 1;
                    write_figure(&mut out, figure, number);
                }
                out += "</div>\n";
            }
            Block::Example(example) => write_example(&mut out, example),
        }
    }
    if in_section {
        out += "</section>\n";
    }
    out += "</main>\n</body>\n</html>\n";
    out
}

/// Text as HTML shows it, within an element or a double-quoted attribute.
pub(super) fn escape(text: &str) -> String {
    html_escape::encode_double_quoted_attribute(text).into_owned()
}

fn slug(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

fn contents(out: &mut String, page: &Page) {
    *out += "<nav aria-label=\"Contents\">\n";
    for block in &page.blocks {
        if let Block::Section(name) = block {
            *out += &format!("<a href=\"#{}\">{}</a>\n", slug(name), escape(name));
        }
    }
    *out += "</nav>\n";
}

fn write_figure(out: &mut String, figure: &Figure, number: usize) {
    let (title, told) = (escape(&figure.title), escape(&figure.told));
    *out += &format!(
        "<figure>\n<figcaption>{title}</figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-labelledby=\"f{number}t f{number}d\">\
         <title id=\"f{number}t\">{title}</title><desc id=\"f{number}d\">{told}</desc>{}</svg>\n</figure>\n",
        figure.height, figure.body
    );
}

fn write_table(out: &mut String, table: &Table, number: usize) {
    let caption = escape(&table.caption);
    let name = format!("t{number}");
    *out += &match table.folded {
        true => format!("<details>\n<summary id=\"{name}\">{caption}</summary>\n"),
        false => format!("<p class=\"caption\" id=\"{name}\">{caption}</p>\n"),
    };
    // Whoever has no pointer must be able to scroll it too.
    *out += &format!(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"{name}\">\n<table aria-labelledby=\"{name}\">\n"
    );
    let long = |row: &Vec<Cell>, column| matches!(row.get(column), Some(Cell::Text(text)) if text.len() > LONG);
    let class = |column| match table.right(column) {
        true => " class=\"right\"",
        false if table.rows.iter().any(|row| long(row, column)) => " class=\"long\"",
        false => "",
    };
    *out += "<thead><tr>";
    for (column, name) in table.head.iter().enumerate() {
        *out += &format!("<th scope=\"col\"{}>{}</th>", class(column), escape(name));
    }
    *out += "</tr></thead>\n<tbody>\n";
    for (number, row) in table.rows.iter().enumerate() {
        let total = table.total && number + 1 == table.rows.len();
        *out += if total {
            "<tr class=\"total\">"
        } else {
            "<tr>"
        };
        for (column, cell) in row.iter().enumerate() {
            let text = match cell {
                Cell::Text(text) | Cell::Figure(text) => escape(text),
                Cell::Code(text) => format!("<code>{}</code>", escape(text)),
                Cell::Number(number) => grouped(*number),
            };
            *out += &format!("<td{}>{text}</td>", class(column));
        }
        *out += "</tr>\n";
    }
    *out += "</tbody>\n</table>\n</div>\n";
    if table.folded {
        *out += "</details>\n";
    }
}

fn write_example(out: &mut String, example: &Example) {
    let label = example.label;
    *out += &format!(
        "<article class=\"example\">\n<p class=\"from\"><span class=\"label {}\">{label}</span> {} <code>{}</code></p>\n",
        label.as_str().to_lowercase(),
        escape(&example.source),
        escape(&example.id)
    );
    if let Some(context) = &example.context {
        *out += &format!("<p class=\"context\">{}</p>\n", escape(context));
    }
    *out += &format!(
        "<p class=\"question\">{}</p>\n<p>{}</p>\n</article>\n",
        escape(&example.question),
        escape(&example.rationale)
    );
}
