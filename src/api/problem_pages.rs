//! What a problem means, where its `type` leads.

use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;

use crate::api::{Code, Problem};

/// The page that explains every code under a heading of its own.
const ERRORS: &str = include_str!("../../docs/errors.md");

/// What a problem means, and what to do about it.
#[utoipa::path(
    get, path = "/problems/{code}", tag = "public",
    operation_id = "problems_explain",
    params(("code" = String, Path, description = "The last part of a problem's `type`")),
    responses((status = 200, description = "Markdown"), (status = 404, description = "A problem"))
)]
pub async fn problem(Path(code): Path<String>) -> Result<impl IntoResponse, Problem> {
    let known = Code::from_text(&code).and_then(section);
    let text = known.ok_or_else(|| Problem::not_found("code of a problem"))?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], format!("## {text}\n")))
}

/// The section of a code, without the mark of its heading.
fn section(code: Code) -> Option<&'static str> {
    let sections = ERRORS.split("\n## ").skip(1);
    sections.map(str::trim_end).find(|text| text.lines().next() == Some(code.text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_with_its_status_and_for_both_readers() {
        for code in Code::ALL.iter().copied() {
            let text = section(code).unwrap_or_else(|| panic!("`{}` has no section", code.text()));
            let status = format!("\n\n{}. ", code.status().as_u16());
            assert!(text.contains(&status), "`{}` has another status", code.text());
            for reader in ["**Caller:**", "**Operator:**"] {
                assert!(text.contains(reader), "`{}` says nothing to {reader}", code.text());
            }
        }
    }

    #[test]
    fn nothing_is_explained_that_cannot_happen() {
        let headings = ERRORS.split("\n## ").skip(1).filter_map(|text| text.lines().next());
        let codes: Vec<_> = headings.filter(|heading| !heading.contains(' ')).collect();

        for heading in codes {
            assert!(Code::from_text(heading).is_some(), "`{heading}` is no code");
        }
    }
}
