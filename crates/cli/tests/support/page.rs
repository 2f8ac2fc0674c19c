//! Reads a page as a browser does, and says what is wrong with it.

use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// What is on a page.
pub(crate) struct Page {
    /// Every text that is shown or read out: of elements, titles and labels, blanks made one.
    pub(crate) text: String,
    /// Names of the elements.
    pub(crate) elements: Vec<String>,
}

/// Parses it. It must be well-formed to the letter, and neither load nor run nor lead to anything outside itself.
#[track_caller]
pub(crate) fn read(html: &str) -> Page {
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(html);
    assert_eq!(*dom.errors.borrow(), Vec::<std::borrow::Cow<'_, str>>::new(), "{html}");
    let mut page = Page { text: String::new(), elements: Vec::new() };
    page.walk(&dom.document);
    for forbidden in [
        "script",
        "link",
        "img",
        "image",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "use",
        "a",
        "foreignObject",
    ] {
        assert!(!page.elements.iter().any(|name| name == forbidden), "<{forbidden}> in {html}");
    }
    page.text = page.text.split_whitespace().collect::<Vec<_>>().join(" ");
    page
}

impl Page {
    fn walk(&mut self, node: &Handle) {
        match &node.data {
            NodeData::Text { contents } => self.add(&contents.borrow()),
            NodeData::Element { name, attrs, .. } => {
                let element = name.local.to_string();
                for attribute in attrs.borrow().iter() {
                    let (name, value) = (attribute.name.local.to_string(), attribute.value.to_string());
                    assert!(!name.starts_with("on"), "<{element} {name}={value}>");
                    let loads = ["href", "src", "srcset", "data", "action", "style", "background", "poster"];
                    assert!(!loads.contains(&name.as_str()), "<{element} {name}={value}>");
                    inside(&value);
                    self.add(&value);
                }
                self.elements.push(element.clone());
                if element == "style" {
                    let css = node.children.borrow();
                    for child in css.iter() {
                        if let NodeData::Text { contents } = &child.data {
                            inside(&contents.borrow());
                        }
                    }
                    return;
                }
            }
            _ => {}
        }
        for child in node.children.borrow().iter() {
            self.walk(child);
        }
    }

    fn add(&mut self, text: &str) {
        self.text.push(' ');
        self.text.push_str(text);
    }

    /// It is said on the page, however its blanks are broken.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(self.text.contains(&words), "`{words}` is not in: {}", self.text);
    }
}

/// A style refers to nothing but patterns of the same page.
fn inside(style: &str) {
    assert!(!style.contains("@import") && !style.contains("expression("), "{style}");
    for part in style.split("url(").skip(1) {
        assert!(part.starts_with('#'), "url({part}");
    }
}
