//! The page around a report: head, styles, patterns.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("report.css");

/// Fills of the charts, by `url(#…)`. They tell apart without colour what colour tells apart, too.
const PATTERNS: &str = r##"<svg width="0" height="0" aria-hidden="true" class="patterns"><defs>
<pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse"><circle cx="2" cy="2" r="1.2"/></pattern>
<pattern id="slash" width="6" height="6" patternUnits="userSpaceOnUse"><path d="M-1 7 7 -1"/></pattern>
<pattern id="bars" width="5" height="5" patternUnits="userSpaceOnUse"><path d="M1.5 0V5"/></pattern>
</defs></svg>"##;

/// A whole document.
pub(crate) fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Nothing is loaded and nothing runs, whatever the text of a migration holds.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="generator" content=(concat!("Concertina ", env!("CARGO_PKG_VERSION")));
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (PreEscaped(PATTERNS))
                main { (body) }
                footer {
                    "Written by Concertina " (env!("CARGO_PKG_VERSION")) ". This file is complete in itself: it loads nothing."
                }
            }
        }
    };
    page.into_string()
}

/// Large figures with what they mean.
pub(crate) fn figures(figures: &[(String, &str)]) -> Markup {
    html! {
        dl.figures {
            @for (value, name) in figures {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// A table that scrolls by itself where the page is narrow. Columns after the first `text` ones hold numbers.
pub(crate) fn table(caption: &str, text: usize, head: &[&str], rows: &[Vec<String>]) -> Markup {
    let class = |column: usize| (column >= text).then_some("number");
    // Names of 63 bytes may be broken anywhere; `Contract` may not.
    let long = |cell: &str| (cell.len() > 16).then_some("long");
    html! {
        div.scroll.wide[head.len() > 6] tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for (at, name) in head.iter().enumerate() { th class=[class(at)] scope="col" { (name) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (at, cell) in row.iter().enumerate() {
                                @if at == 0 { th scope="row" { (cell) } } @else { td class=[class(at).or(long(cell))] { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_loads_nothing_and_escapes_everything() {
        let rows = [vec!["<script>alert(1)</script>".to_owned(), "1".to_owned()]];
        let page = page("</title><script>", &table("a & b", 1, &["x", "y"], &rows));
        for what in ["<script", "http://", "https://", "@import", "src=\"", "url(http"] {
            assert!(!page.contains(what), "{what}");
        }
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("a &amp; b"));
        assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<title>&lt;/title&gt;"));
    }
}
