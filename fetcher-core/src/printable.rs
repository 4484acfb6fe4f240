//! Text from outside, made fit for where it is printed: names, tags, error bodies.
//!
//! Not sanitising of data: what is stored stays as the provider said it. Only what a person reads, in a
//! terminal, a log line or a pull request, goes through here.

use std::fmt::Write;

/// One line for a terminal, a log or an error: at most `max` characters of `text`, controls and characters that
/// reorder or hide text written as `\u{…}`, with `…` where it was cut.
#[must_use]
pub fn printable(text: &str, max: usize) -> String {
    cut(text, max, |out, c| {
        if is_deceptive(c) {
            // Newline, tab and the like in their short form; a String takes every write.
            let _ = write!(out, "{}", c.escape_debug());
        } else {
            out.push(c);
        }
    })
}

/// The same for Markdown: beside that, everything that would be markup stands as text, and no line begins one.
#[must_use]
pub fn markdown(text: &str, max: usize) -> String {
    cut(text, max, |out, c| match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        // An entity, because `@name` and `#12` are links on forges even behind a backslash; so is a bare address.
        '@' => out.push_str("&#64;"),
        '#' => out.push_str("&#35;"),
        ':' => out.push_str("&#58;"),
        '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '+' | '-' | '!' | '|'
        | '~' | '=' | '$' => {
            out.push('\\');
            out.push(c);
        }
        // `1.` begins a list and `www.` a link.
        '.' => out.push_str("&#46;"),
        c if is_deceptive(c) => {
            let _ = write!(out, "\\{}", c.escape_debug());
        }
        c => out.push(c),
    })
}

fn cut(text: &str, max: usize, mut put: impl FnMut(&mut String, char)) -> String {
    let mut out = String::with_capacity(text.len().min(max.saturating_mul(2)));
    let mut rest = text.chars();
    for c in rest.by_ref().take(max) {
        put(&mut out, c);
    }
    if rest.next().is_some() {
        out.push('…');
    }
    out
}

/// Controls (C0, DEL, C1), line and paragraph separators, and the characters that reorder or hide what stands
/// around them (Unicode TR 36 and CVE-2021-42574).
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::{markdown, printable};
    use proptest::prelude::*;

    #[test]
    fn a_terminal_gets_no_escape_sequence_and_one_line() {
        assert_eq!(
            printable("web\x1b[2J\r\nroot\u{9b}1m\t", 99),
            r"web\u{1b}[2J\r\nroot\u{9b}1m\t"
        );
    }

    #[test]
    fn text_cannot_run_backwards_or_hide() {
        assert_eq!(printable("a\u{202e}b\u{200b}c\u{2028}", 99), r"a\u{202e}b\u{200b}c\u{2028}");
    }

    #[test]
    fn long_text_is_cut_at_characters_and_shows_it() {
        assert_eq!(printable("żółw", 3), "żół…");
        assert_eq!(printable("żółw", 4), "żółw");
        assert_eq!(printable("x", 0), "…");
    }

    #[test]
    fn markup_of_a_name_stays_text_in_markdown() {
        assert_eq!(
            markdown("[x](javascript:1)<img>|`a`\n# @ops", 99),
            r"\[x\]\(javascript&#58;1\)&lt;img&gt;\|\`a\`\\n&#35; &#64;ops"
        );
    }

    proptest! {
        #[test]
        fn nothing_deceptive_is_ever_printed(text in "\\PC*|.*|[\\x00-\\x1f\u{202a}-\u{202e}]*", max in 0_usize..40) {
            for shown in [printable(&text, max), markdown(&text, max)] {
                prop_assert!(!shown.chars().any(super::is_deceptive), "{shown:?}");
            }
        }
    }
}
