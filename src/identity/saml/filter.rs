//! What of XML is not even looked at. Pure.
//!
//! Whatever reads XML differs from whatever else reads XML in the corners of the language: document types, entities, comments within a
//! text, CDATA, processing instructions, other encodings. No provider puts any of these into an answer, so an answer that has one is an attack or a
//! mistake, and is refused before a parser sees it. (Descriptions of providers have comments: see [`Comments`].)

use super::Refusal;

/// The largest document: an answer with a thousand groups has some 100 kB, descriptions of providers with several certificates 30 kB.
pub const LARGEST: usize = 192 * 1024;
/// The deepest nesting: an answer has 8, a description 10.
const DEEPEST: usize = 24;
/// An attribute of a person with a thousand groups has a thousand elements.
const ELEMENTS: usize = 4_000;
/// The most attributes of one element, namespaces included.
const ATTRIBUTES: usize = 24;

/// Whether comments are let through. Never in what is signed: a parser may see two texts where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comments {
    /// They are refused.
    Refused,
    /// They are skipped.
    Skipped,
}

/// The text of `bytes`, if a parser may look at it.
///
/// # Errors
/// Why none may.
pub fn filtered(bytes: &[u8], comments: Comments) -> Result<&str, Refusal> {
    if bytes.len() > LARGEST {
        return Err(Refusal::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::Encoding)?;
    if text.starts_with('\u{feff}') {
        return Err(Refusal::Encoding);
    }
    if text.chars().any(|char| !is_char(char)) {
        return Err(Refusal::NotXml);
    }
    let (mut rest, mut depth, mut elements) = (after_declaration(text)?, 0_usize, 0_usize);
    while let Some((before, tag)) = rest.split_once('<') {
        references(before)?;
        if let Some(comment) = tag.strip_prefix("!--") {
            if comments == Comments::Refused {
                return Err(Refusal::Comment);
            }
            rest = comment.split_once("-->").ok_or(Refusal::NotXml)?.1;
            continue;
        }
        if let Some(section) = tag.strip_prefix('!') {
            return Err(if section.starts_with("[CDATA[") { Refusal::Cdata } else { Refusal::Doctype });
        }
        if tag.starts_with('?') {
            return Err(Refusal::Instruction);
        }
        let (tag, after) = whole_tag(tag)?;
        references(tag)?;
        rest = after;
        if tag.starts_with('/') {
            depth = depth.checked_sub(1).ok_or(Refusal::NotXml)?;
            continue;
        }
        elements = elements.saturating_add(1);
        if elements > ELEMENTS {
            return Err(Refusal::TooManyElements);
        }
        if !tag.ends_with('/') {
            depth = depth.saturating_add(1);
        }
        if depth > DEEPEST {
            return Err(Refusal::TooDeep);
        }
    }
    references(rest)?;
    if depth == 0 && elements > 0 { Ok(text) } else { Err(Refusal::NotXml) }
}

/// What follows the XML declaration, which must be of XML 1.0 in UTF-8 if there is one.
fn after_declaration(text: &str) -> Result<&str, Refusal> {
    let Some(declaration) =
        text.strip_prefix("<?xml").filter(|rest| rest.starts_with([' ', '\t', '\r', '\n']))
    else {
        return Ok(text);
    };
    let (declaration, rest) = declaration.split_once("?>").ok_or(Refusal::NotXml)?;
    let plain: String =
        declaration.split_ascii_whitespace().collect::<Vec<_>>().join(" ").replace('\'', "\"");
    let plain = plain.to_ascii_lowercase();
    let plain = plain.strip_prefix("version=\"1.0\"").ok_or(Refusal::NotXml)?.trim_start();
    let plain = match plain.strip_prefix("encoding=") {
        Some(encoding) => encoding.strip_prefix("\"utf-8\"").ok_or(Refusal::Encoding)?.trim_start(),
        None => plain,
    };
    if ["", "standalone=\"yes\"", "standalone=\"no\""].contains(&plain) {
        Ok(rest)
    } else {
        Err(Refusal::NotXml)
    }
}

/// The tag whose bracket is open already, and what follows it. A bracket within quotes closes nothing.
fn whole_tag(text: &str) -> Result<(&str, &str), Refusal> {
    let (mut quote, mut attributes) = (None, 0_usize);
    for (at, char) in text.char_indices() {
        match (quote, char) {
            (None, '>') => {
                let (tag, rest) = text.split_at(at);
                return Ok((tag, rest.strip_prefix('>').unwrap_or(rest)));
            }
            (None, '"' | '\'') => {
                quote = Some(char);
                attributes = attributes.saturating_add(1);
                if attributes > ATTRIBUTES {
                    return Err(Refusal::TooManyAttributes);
                }
            }
            (Some(open), char) if open == char => quote = None,
            // No document has that, and what repairs documents reads more than one thing in it.
            (_, '<') => return Err(Refusal::NotXml),
            _ => {}
        }
    }
    Err(Refusal::NotXml)
}

/// Only the five entities that XML itself has, and characters by their number.
fn references(text: &str) -> Result<(), Refusal> {
    for reference in text.split('&').skip(1) {
        let (name, _) = reference.split_once(';').ok_or(Refusal::Entity)?;
        let by_number = name.strip_prefix('#').map(|number| match number.strip_prefix('x') {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
            None => number.parse(),
        });
        let is_known = match by_number {
            Some(number) => number.ok().and_then(char::from_u32).is_some_and(is_char),
            None => ["amp", "lt", "gt", "quot", "apos"].contains(&name),
        };
        if !is_known {
            return Err(Refusal::Entity);
        }
    }
    Ok(())
}

/// What XML 1.0 calls a character.
fn is_char(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<Refusal> {
        filtered(text.as_bytes(), Comments::Refused).err()
    }

    #[test]
    fn what_providers_say_is_let_through_as_it_is() {
        for text in [
            "<a/>",
            "<a b='1' c=\"&amp;&#13;&#x41;\">x &lt; y</a>",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a><b c='>'/></a>\n",
            "<?xml version='1.0' encoding='utf-8' standalone='yes'?><a/>",
            "<?xml version=\"1.0\"?><a>ä</a>",
        ] {
            assert_eq!(filtered(text.as_bytes(), Comments::Refused), Ok(text));
        }
    }

    #[test]
    fn what_parsers_differ_in_is_refused_each_with_its_code() {
        for (text, why) in [
            ("<!DOCTYPE a><a/>", Refusal::Doctype),
            ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", Refusal::Doctype),
            ("<a><!ENTITY x 'y'></a>", Refusal::Doctype),
            ("<a>x<!-- -->y</a>", Refusal::Comment),
            ("<a b='<!-- -->'/>", Refusal::NotXml),
            ("<a><![CDATA[x]]></a>", Refusal::Cdata),
            ("<a><?x y?></a>", Refusal::Instruction),
            ("<?xml-stylesheet href='x'?><a/>", Refusal::Instruction),
            (" <?xml version='1.0'?><a/>", Refusal::Instruction),
            ("<a>&x;</a>", Refusal::Entity),
            ("<a b='&x;'/>", Refusal::Entity),
            ("<a>& b</a>", Refusal::Entity),
            ("<a>&#0;</a>", Refusal::Entity),
            ("<a>&#xD800;</a>", Refusal::Entity),
            ("\u{feff}<a/>", Refusal::Encoding),
            ("<?xml version='1.0' encoding='UTF-16'?><a/>", Refusal::Encoding),
            ("<?xml version='1.1'?><a/>", Refusal::NotXml),
            ("<a>\u{1}</a>", Refusal::NotXml),
            ("<a", Refusal::NotXml),
            ("<a>", Refusal::NotXml),
            ("</a>", Refusal::NotXml),
            ("", Refusal::NotXml),
            ("<a b='<'/>", Refusal::NotXml),
        ] {
            assert_eq!(refused(text), Some(why), "{text}");
        }
        assert_eq!(filtered(b"<a>\xff</a>", Comments::Refused), Err(Refusal::Encoding));
        assert_eq!(filtered(b"\xff\xfe<\0a\0/\0>\0", Comments::Refused), Err(Refusal::Encoding));
    }

    #[test]
    fn size_depth_elements_and_attributes_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        let many = |elements: usize| format!("<a>{}</a>", "<b/>".repeat(elements));
        let wide = |attributes: usize| format!("<a {}/>", "b='' ".repeat(attributes));
        for (text, why) in [
            (nested(DEEPEST + 1), Refusal::TooDeep),
            (many(ELEMENTS), Refusal::TooManyElements),
            (wide(ATTRIBUTES + 1), Refusal::TooManyAttributes),
            (format!("<a>{}</a>", " ".repeat(LARGEST)), Refusal::TooLarge),
        ] {
            assert_eq!(refused(&text), Some(why));
        }
        for text in [nested(DEEPEST), many(ELEMENTS - 1), wide(ATTRIBUTES)] {
            assert_eq!(refused(&text), None);
        }
    }

    #[test]
    fn a_description_may_have_comments_and_nothing_else_more() {
        let skipped = |text: &str| filtered(text.as_bytes(), Comments::Skipped).err();
        assert_eq!(skipped("<!-- <b> & -->\n<a><!-- --></a>"), None);
        assert_eq!(skipped("<a><!-- </a>"), Some(Refusal::NotXml));
        assert_eq!(skipped("<!DOCTYPE a><a/>"), Some(Refusal::Doctype));
    }
}
