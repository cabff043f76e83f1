//! Errors as text for the log: the whole chain of causes, each once.

use std::error::Error;

use tonic::Status;

use crate::sqlstate;

/// An error and its causes, in one line. Rows that the database's errors quote are left
/// out.
///
/// Many libraries repeat a cause in the text of the error above it; a text is not
/// repeated.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        add(&mut text, in_words(error).trim());
        next = error.source();
    }
    text
}

fn in_words(error: &(dyn Error + 'static)) -> String {
    let boxed = error.downcast_ref::<Box<Status>>().map(|status| &**status);
    match error.downcast_ref::<Status>().or(boxed) {
        // Its own text quotes its details, byte by byte.
        Some(status) => format!("{:?}: {}", status.code(), status.message()),
        None => sqlstate::in_words(error),
    }
}

/// Adds one error's text after those of the errors that it caused.
fn add(text: &mut String, said: &str) {
    let is_said = format!(": {text}: ").contains(&format!(": {said}: "));
    if said.is_empty() || is_said {
        return;
    }
    let last = text.rfind(": ").map_or(0, |at| at + 2);
    let more = said.strip_prefix(&text[last..]);
    if more.is_some_and(|more| more.starts_with(": ")) {
        // The same error, with more of its causes.
        text.truncate(last);
    } else if !text.is_empty() {
        text.push_str(": ");
    }
    text.push_str(said);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    fn said(texts: &[&'static str]) -> String {
        let layers = texts
            .iter()
            .rev()
            .fold(None, |source, text| Some(Box::new(Layer { text, source })));
        chain(&*layers.expect("a text"))
    }

    #[test]
    fn each_cause_is_said_once() {
        assert_eq!(said(&["a", "b", "c"]), "a: b: c");
        assert_eq!(
            said(&[
                "transport error",
                "tcp connect error",
                "tcp connect error",
                "refused"
            ]),
            "transport error: tcp connect error: refused"
        );
        assert_eq!(said(&["cannot: refused", "refused"]), "cannot: refused");
        assert_eq!(
            said(&["transport error", "connect", "connect: refused", "refused"]),
            "transport error: connect: refused"
        );
        assert_eq!(said(&["no connection", ""]), "no connection");
        assert_eq!(said(&["a", "about it"]), "a: about it");
        assert_eq!(said(&["error a", "a"]), "error a: a");
        assert_eq!(
            said(&["no answer: connect", "transport", "connect", "refused"]),
            "no answer: connect: transport: refused"
        );
    }
}
