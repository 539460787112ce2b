//! Looking into XML that [`super::filter`] has let through.

use roxmltree::{Document, Node, ParsingOptions};

use super::Refusal;

/// The namespace of requests and responses.
pub(super) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
/// The namespace of assertions.
pub(super) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// The namespace of descriptions.
pub(super) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
/// The namespace of signatures.
pub(super) const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";

/// The tree of `text`.
pub(super) fn parsed(text: &str) -> Result<Document<'_>, Refusal> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: 20_000, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|_| Refusal::NotXml)
}

/// Whether it is that element.
pub(super) fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.has_tag_name((namespace, name))
}

/// The children of that name.
pub(super) fn all<'a, 't>(
    parent: Node<'a, 't>,
    namespace: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 't>> {
    parent.children().filter(move |child| is(*child, namespace, name))
}

/// The one child of that name.
pub(super) fn one<'a, 't>(
    parent: Node<'a, 't>,
    namespace: &'static str,
    name: &'static str,
    otherwise: Refusal,
) -> Result<Node<'a, 't>, Refusal> {
    let mut found = all(parent, namespace, name);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(otherwise),
    }
}

/// All of its text, if nothing else is in it.
pub(super) fn text<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    let mut children = node.children();
    match (children.next(), children.next()) {
        (None, _) => Some(""),
        (Some(only), None) if only.is_text() => only.text(),
        _ => None,
    }
}

/// Elements among its children, if nothing else is there but space.
pub(super) fn elements<'a, 't>(parent: Node<'a, 't>) -> Option<Vec<Node<'a, 't>>> {
    let is_space =
        |child: &Node<'_, '_>| child.is_text() && child.text().is_none_or(|text| text.trim().is_empty());
    let children: Vec<_> = parent.children().filter(|child| !is_space(child)).collect();
    children.iter().all(Node::is_element).then_some(children)
}
