//! `/docs`: the contract of the API for whoever reads it in a browser. It is made once, when the server starts, from the very document that
//! generators are given. No script, nothing from elsewhere, and the browser is told to hold us to that.

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use maud::{Markup, html};
use serde_json::{Map, Value};

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
);

/// The page and its style.
pub(super) fn router(contract: &Value) -> Router {
    let page = Bytes::from(page(contract).into_string());
    Router::new().route("/docs", get(read)).with_state(page).route(
        "/docs/style.css",
        get(async || told("text/css; charset=utf-8", include_str!("docs/style.css"))),
    )
}

async fn read(State(page): State<Bytes>) -> Response {
    told("text/html; charset=utf-8", page)
}

fn told(kind: &'static str, body: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("max-age=300")),
    ];
    (headers, body).into_response()
}

/// A call: its method, its path, and what the contract says of it.
struct Shown<'a> {
    method: &'a str,
    path: &'a str,
    call: &'a Value,
}

fn page(contract: &Value) -> Markup {
    let calls: Vec<Shown<'_>> = members(at(contract, "/paths"))
        .flat_map(|(path, item)| members(item).map(move |(method, call)| Shown { method, path, call }))
        .collect();
    let under =
        |tag: &str| calls.iter().filter(move |shown| at(shown.call, "/tags/0") == tag).collect::<Vec<_>>();
    let tags: Vec<&str> = items(at(contract, "/tags")).filter_map(|tag| at(tag, "/name").as_str()).collect();
    let body = html! {
        nav aria-label="Calls" {
            @for tag in &tags {
                h2 { (tag) }
                ul {
                    @for shown in under(tag) {
                        li { a href={ "#" (text(at(shown.call, "/operationId"))) } { (text(at(shown.call, "/summary"))) } }
                    }
                }
            }
            h2 { a href="#refusals" { "Refusals" } }
        }
        main {
            h1 { "The API of Usher " small { (text(at(contract, "/info/version"))) } }
            (prose(text(at(contract, "/info/description"))))
            p { "For generators of clients: " a href="/v1/openapi.json" { "the same as OpenAPI 3.1" } "." }
            @for tag in &tags {
                h2 { (tag) }
                @for shown in under(tag) { (article(contract, shown)) }
            }
            h2 id="refusals" { "Refusals" }
            dl { @for (code, problem) in refusals(&calls) {
                dt { code { (code) } " " small { (at(problem, "/status")) } }
                dd { (text(at(problem, "/title"))) " " (marked(text(at(problem, "/next")))) }
            } }
        }
    };
    super::page::page("The API of Usher", "/docs/style.css", &body)
}

fn article(contract: &Value, Shown { method, path, call }: &Shown<'_>) -> Markup {
    let schemes = items(at(call, "/security")).flat_map(members).map(|(name, _)| name);
    let by: Vec<(&str, &str)> = schemes
        .map(|name| {
            (name, text(at(at(contract, "/components/securitySchemes"), &format!("/{name}/description"))))
        })
        .collect();
    let parameters = items(at(call, "/parameters")).map(|parameter| resolved(contract, parameter));
    let (good, refused): (Vec<_>, Vec<_>) =
        members(at(call, "/responses")).partition(|(status, _)| status.starts_with('2'));
    html! {
        article id=(text(at(call, "/operationId"))) {
            h3 { (text(at(call, "/summary"))) }
            p class="call" { strong { (method.to_ascii_uppercase()) } " " code { (path) } }
            (prose(text(at(call, "/description"))))
            details {
                summary { "Credential, headers" }
                dl {
                    @if by.is_empty() { dt { "no credential" } dd { "It is for everybody." } }
                    @for (name, about) in by { dt { (name) } dd { (marked(about)) } }
                    @for parameter in parameters {
                        dt { code { (text(at(parameter, "/name"))) }
                            @if at(parameter, "/required") == true { " " small { "required" } } }
                        dd { (marked(text(at(parameter, "/description")))) }
                    }
                }
            }
            @if let Some(example) = example(at(call, "/requestBody")) { h4 { "Request" } pre tabindex="0" { (example) } }
            @for (status, answer) in good {
                h4 { (status) " " (marked(text(at(answer, "/description")))) }
                @if let Some(example) = example(answer) { pre tabindex="0" { (example) } }
            }
            details {
                summary { "Refusals" }
                ul { @for (status, answer) in refused { @for (code, _) in problems(answer) {
                    li { (status) " " a href="#refusals" { code { (code) } } }
                } } }
            }
        }
    }
}

/// Every problem that a call may be refused with, by its code.
fn refusals<'a>(calls: &[Shown<'a>]) -> std::collections::BTreeMap<&'a str, &'a Value> {
    let answers = calls.iter().flat_map(|shown| members(at(shown.call, "/responses")));
    answers.flat_map(|(_, answer)| problems(answer)).collect()
}

fn problems(answer: &Value) -> impl Iterator<Item = (&str, &Value)> {
    members(at(answer, "/content/application~1problem+json/examples"))
        .map(|(code, example)| (code, at(example, "/value")))
}

fn example(of: &Value) -> Option<String> {
    let example = of.pointer("/content/application~1json/example")?;
    Some(format!("{example:#}"))
}

fn resolved<'a>(contract: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = at(value, "/$ref").as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| contract.pointer(pointer)).unwrap_or(value)
}

/// What is there, if anything is.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    static NOTHING: Value = Value::Null;
    value.pointer(pointer).unwrap_or(&NOTHING)
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(name, value)| (name.as_str(), value))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Paragraphs, and lists whose lines begin with a dash.
fn prose(text: &str) -> Markup {
    html! {
        @for block in text.split("\n\n") {
            @if block.starts_with("- ") {
                ul { @for line in block.lines() { li { (marked(line.trim_start_matches("- "))) } } }
            } @else {
                p { (marked(block)) }
            }
        }
    }
}

/// What stands between backticks is code, and between two asterisks strong.
fn marked(text: &str) -> Markup {
    html! {
        @for (number, part) in text.split('`').enumerate() {
            @if number % 2 == 1 { code { (part) } } @else {
                @for (number, part) in part.split("**").enumerate() {
                    @if number % 2 == 1 { strong { (part) } } @else { (part) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use tower::ServiceExt as _;

    use super::*;
    use crate::{domain::refusal::Code, http::routes::description};

    async fn asked(path: &str) -> (StatusCode, Response<Body>) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(&description()).oneshot(request).await.unwrap();
        (response.status(), response)
    }

    #[tokio::test]
    async fn every_call_with_its_path_and_every_refusal_of_one_is_on_the_page() {
        let (status, response) = asked("/docs").await;
        assert_eq!(status, StatusCode::OK);
        let page = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let (page, contract) = (String::from_utf8(page.to_vec()).unwrap(), description());
        for (path, item) in members(&contract["paths"]) {
            assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
            for (_, call) in members(item) {
                assert!(page.contains(&format!("<article id=\"{}\">", text(&call["operationId"]))));
            }
        }
        let beside = [Code::NotFound, Code::MethodNotAllowed];
        for code in Code::ALL.iter().filter(|code| !beside.contains(code)) {
            assert!(page.contains(&format!("<dt><code>{code}</code>")), "{code}");
        }
        for (at, _) in page.match_indices("href=\"#") {
            let anchor = page[at + 7..].split('"').next().unwrap();
            assert!(page.contains(&format!("id=\"{anchor}\"")), "{anchor} leads nowhere");
        }
    }

    #[tokio::test]
    async fn nothing_of_the_page_comes_from_elsewhere_and_the_browser_is_told_so() {
        for path in ["/docs", "/docs/style.css"] {
            let (status, response) = asked(path).await;
            assert_eq!(
                (status, &response.headers()[header::CONTENT_SECURITY_POLICY]),
                (StatusCode::OK, &POLICY)
            );
            let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let text = String::from_utf8(text.to_vec()).unwrap();
            for loaded in ["<script", "src=", "style=\"", "@import", "url(", "href=\"http"] {
                assert!(!text.contains(loaded), "{path}: {loaded}");
            }
        }
    }

    #[test]
    fn what_a_text_says_is_text() {
        let said = marked("a `<b>` of **<i>** & c").into_string();
        assert_eq!(said, "a <code>&lt;b&gt;</code> of <strong>&lt;i&gt;</strong> &amp; c");
        assert_eq!(prose("a\n\n- b\n- c").into_string(), "<p>a</p><ul><li>b</li><li>c</li></ul>");
    }
}
