//! Renders a page as a single HTML file: no script, no external resources, in the reader's light or dark theme.

use crate::escape::escape;
use crate::page::{Block, Cell, Example, Figure, Page, Samples, Table};
use crate::svg::WIDTH;
use verdict_common::grouped;

/// From how many bytes on a text gets a wide column.
const LONG: usize = 40;

impl Page {
    /// The page as a single HTML file: no script, no external resources.
    pub fn html(&self) -> String {
        write(self, None)
    }

    /// As [`Page::html`], for content that still changes: the browser reloads the file at this interval.
    pub fn live_html(&self, every_s: u32) -> String {
        write(self, Some(every_s))
    }
}

/// The whole file, reloaded every so many seconds if a number is given.
fn write(page: &Page, every_s: Option<u32>) -> String {
    let title = escape(&page.title);
    let again = every_s.map_or(String::new(), |every_s| {
        format!("<meta http-equiv=\"refresh\" content=\"{every_s}\">\n")
    });
    let out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         {again}<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n",
        styles(page),
        STYLE = include_str!("style.css")
    );
    let mut body = Body {
        out,
        ids: ids(page),
        sections: 0,
        figures: 0,
        tables: 0,
        samples: 0,
    };
    body.blocks(&page.blocks, page);
    if body.sections > 0 {
        body.out += "</section>\n";
    }
    body.out += "</main>\n</body>\n</html>\n";
    body.out
}

/// The file so far, with the number of elements of each kind, from which their ids are made.
struct Body {
    out: String,
    /// Ids of the sections.
    ids: Vec<String>,
    sections: usize,
    figures: usize,
    tables: usize,
    samples: usize,
}

impl Body {
    fn blocks(&mut self, blocks: &[Block], page: &Page) {
        let mut blocks = blocks.iter().peekable();
        while let Some(block) = blocks.next() {
            match block {
                Block::Section(name) => self.section(name, page),
                Block::Text(text) => self.out += &format!("<p>{}</p>\n", escape(text)),
                Block::List(lines) => {
                    self.out += "<ul>\n";
                    for line in lines {
                        self.out += &format!("<li>{}</li>\n", escape(line));
                    }
                    self.out += "</ul>\n";
                }
                Block::Table(table) => {
                    self.tables += 1;
                    write_table(&mut self.out, table, self.tables);
                }
                Block::Figure(figure) => {
                    self.out += "<div class=\"figures\">\n";
                    self.figure(figure);
                    while let Some(Block::Figure(figure)) =
                        blocks.next_if(|block| matches!(block, Block::Figure(_)))
                    {
                        self.figure(figure);
                    }
                    self.out += "</div>\n";
                }
                Block::Example(example) => write_example(&mut self.out, example, ""),
                Block::Fold(fold) => {
                    let summary = escape(&fold.summary);
                    self.out +=
                        &format!("<details class=\"fold\">\n<summary>{summary}</summary>\n");
                    self.blocks(&fold.blocks, page);
                    self.out += "</details>\n";
                }
                Block::Samples(samples) => {
                    self.samples += 1;
                    write_samples(&mut self.out, samples, self.samples);
                }
            }
        }
    }

    fn section(&mut self, name: &str, page: &Page) {
        match self.sections {
            0 => contents(&mut self.out, page, &self.ids),
            _ => self.out += "</section>\n",
        }
        let id = self.ids.get(self.sections).map_or("", String::as_str);
        let name = escape(name);
        self.out += &format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{name}</h2>\n");
        self.sections += 1;
    }

    fn figure(&mut self, figure: &Figure) {
        self.figures += 1;
        write_figure(&mut self.out, figure, self.figures);
    }
}

/// The style rules that the figures need, each once.
fn styles(page: &Page) -> String {
    let mut styles: Vec<&str> = Vec::new();
    for block in page.blocks.iter().flat_map(Block::all) {
        match block {
            Block::Figure(figure) if !styles.contains(&figure.style) => styles.push(figure.style),
            _ => {}
        }
    }
    styles.concat()
}

/// Ids of the sections, made from their names; all different.
fn ids(page: &Page) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for block in &page.blocks {
        let Block::Section(name) = block else {
            continue;
        };
        let letter = |c: char| if c.is_alphanumeric() { c } else { '-' };
        let slug: String = name.to_lowercase().chars().map(letter).collect();
        let numbered = (2..).map(|number| format!("{slug}-{number}"));
        let mut names = std::iter::once(slug.clone()).chain(numbered);
        ids.extend(names.find(|name| !ids.contains(name)));
    }
    ids
}

fn contents(out: &mut String, page: &Page, ids: &[String]) {
    *out += "<nav aria-label=\"Contents\">\n";
    let names = page.blocks.iter().filter_map(|block| match block {
        Block::Section(name) => Some(name),
        _ => None,
    });
    for (name, id) in names.zip(ids) {
        *out += &format!("<a href=\"#{id}\">{}</a>\n", escape(name));
    }
    *out += "</nav>\n";
}

fn write_figure(out: &mut String, figure: &Figure, number: usize) {
    let (title, description) = (escape(&figure.title), escape(&figure.description));
    *out += &format!(
        "<figure>\n<figcaption>{title}</figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-labelledby=\"f{number}t f{number}d\">\
         <title id=\"f{number}t\">{title}</title><desc id=\"f{number}d\">{description}</desc>{}</svg>\n</figure>\n",
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
    // tabindex makes the table scrollable from the keyboard.
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

/// Filters as radio buttons: a style rule hides the samples that the checked choice excludes.
fn write_samples(out: &mut String, samples: &Samples, number: usize) {
    let name = format!("s{number}");
    *out += "<style>\n";
    for (filter, of) in samples.filters.iter().enumerate() {
        for choice in 0..of.choices.len() {
            *out += &format!(
                "#{name}:has(#{name}-{filter}-{choice}:checked) .example:not([data-f{filter}=\"{choice}\"]) {{ display: none; }}\n"
            );
        }
    }
    *out += &format!(
        "</style>\n<div id=\"{name}\">\n<p class=\"caption\">{}</p>\n",
        escape(&samples.caption)
    );
    for (filter, of) in samples.filters.iter().enumerate() {
        *out += &format!(
            "<fieldset class=\"filter\"><legend>{}</legend>",
            escape(&of.name)
        );
        let all = std::iter::once(("all".to_owned(), "all"));
        let choices = of.choices.iter().enumerate();
        let choices = choices.map(|(choice, text)| (choice.to_string(), text.as_str()));
        for (id, text) in all.chain(choices) {
            let checked = if id == "all" { " checked" } else { "" };
            *out += &format!(
                " <label><input type=\"radio\" name=\"{name}-{filter}\" id=\"{name}-{filter}-{id}\"{checked}> {}</label>",
                escape(text)
            );
        }
        *out += "</fieldset>\n";
    }
    for (choices, example) in &samples.rows {
        let choices = choices.iter().enumerate();
        let data = choices.map(|(filter, choice)| format!(" data-f{filter}=\"{choice}\""));
        write_example(out, example, &data.collect::<String>());
    }
    *out += "</div>\n";
}

/// A sample, with these attributes on its article element.
fn write_example(out: &mut String, example: &Example, attributes: &str) {
    *out += &format!("<article class=\"example\"{attributes}>\n<p class=\"from\">");
    for badge in &example.badges {
        let text = escape(&badge.text);
        *out += &format!("<span class=\"label {}\">{text}</span> ", badge.class);
    }
    *out += &escape(&example.source);
    if !example.id.is_empty() {
        *out += &format!(" <code>{}</code>", escape(&example.id));
    }
    *out += "</p>\n";
    for part in &example.parts {
        *out += &match part.class {
            "" => format!("<p>{}</p>\n", escape(&part.text)),
            class => format!("<p class=\"{class}\">{}</p>\n", escape(&part.text)),
        };
    }
    *out += "</article>\n";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{Filter, Fold};

    fn section(name: &str) -> Block {
        Block::Section(name.into())
    }

    fn figure(style: &'static str) -> Block {
        Block::Figure(Figure {
            title: "A \"figure\"".into(),
            description: "what it says".into(),
            height: 10.0,
            body: String::new(),
            style,
        })
    }

    #[test]
    fn sections_with_the_same_name_have_different_ids() {
        let page = Page {
            title: "x".into(),
            blocks: vec![
                section("Yes & \"No\""),
                section("A b"),
                section("A b"),
                section("A b 2"),
            ],
        };
        assert_eq!(ids(&page), ["yes----no-", "a-b", "a-b-2", "a-b-2-2"]);
        let html = write(&page, None);
        for id in ids(&page) {
            assert_eq!(html.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
            assert!(html.contains(&format!("<a href=\"#{id}\">")), "{id}");
        }
    }

    #[test]
    fn style_rules_of_figures_are_written_once_and_only_where_needed() {
        let page = |blocks| {
            let title = "x".into();
            write(&Page { title, blocks }, None)
        };
        let rule = "svg .own { fill: red; }\n";
        assert!(!page(vec![figure("")]).contains(rule));
        let html = page(vec![figure(rule), section("A"), figure(rule), figure("")]);
        assert_eq!(html.matches(rule).count(), 1);
        assert!(html.contains("<title id=\"f3t\">A &quot;figure&quot;</title>"));
    }

    #[test]
    fn folds_contain_blocks_and_filters_select_samples() {
        let sample = |text: &str, choice| {
            let example = Example {
                badges: Vec::new(),
                source: text.into(),
                id: String::new(),
                parts: Vec::new(),
            };
            (vec![choice], example)
        };
        let samples = Block::Samples(Samples {
            caption: "All answers".into(),
            filters: vec![Filter {
                name: "Show".into(),
                choices: vec!["wrong".into(), "right <b>".into()],
            }],
            rows: vec![sample("one", 0), sample("two", 1)],
        });
        let rule = "svg .own { fill: red; }\n";
        let page = Page {
            title: "x".into(),
            blocks: vec![
                section("A"),
                Block::Fold(Fold {
                    summary: "More & more".into(),
                    blocks: vec![figure(rule), samples],
                }),
                section("B"),
            ],
        };
        let html = page.html();
        assert_eq!(html.matches(rule).count(), 1, "rules of folded figures");
        assert!(html.contains("<summary>More &amp; more</summary>"));
        assert!(
            html.contains(
                "#s1:has(#s1-0-1:checked) .example:not([data-f0=\"1\"]) { display: none; }"
            )
        );
        assert!(html.contains("id=\"s1-0-all\" checked> all</label>"));
        assert!(html.contains("id=\"s1-0-1\"> right &lt;b&gt;</label>"));
        assert!(html.contains("<article class=\"example\" data-f0=\"1\">"));
        assert_eq!(
            html.matches("<section").count(),
            html.matches("</section>").count()
        );
        let markdown = page.markdown();
        assert!(markdown.contains("\n### More &amp; more\n") && !markdown.contains("two"));
    }

    #[test]
    fn a_live_page_is_reloaded() {
        let page = Page::default();
        let again = "<meta http-equiv=\"refresh\" content=\"5\">\n";
        assert!(!page.html().contains("refresh"));
        let live = page.live_html(5);
        assert_eq!(live.replace(again, ""), page.html());
        assert_ne!(live, page.html());
    }
}
