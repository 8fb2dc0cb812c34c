//! What of a transaction is secret: paths into the request and into the branches' answers.

use super::cursor::Cursor;
use super::likely::suggestion;
use http::HeaderName;
use unanimo_contract::Plan;
use unanimo_expression::Reference;

/// Reads `secret`. `branches` are the route's branches by name.
pub fn read(cursor: Cursor, branches: &[String]) -> Option<Vec<String>> {
    let mut secrets: Vec<String> = Vec::new();
    let mut wrong = false;
    for cursor in cursor.elements("`secret`")? {
        match one(cursor, branches) {
            Some(path) if secrets.contains(&path) => {
                cursor.wrong(format!("`{path}` stands there twice"));
                wrong = true;
            }
            Some(path) => secrets.push(path),
            None => wrong = true,
        }
    }
    (!wrong).then_some(secrets)
}

fn one(cursor: Cursor, branches: &[String]) -> Option<String> {
    let text = cursor.text()?;
    let reference = match (Reference::parse(text), text.strip_prefix("request.headers.")) {
        (Ok(reference), _) => reference,
        // No expression stands here that could subtract: a header's name needs no quotation marks.
        (Err(_), Some(name)) if HeaderName::from_bytes(name.as_bytes()).is_ok() => {
            Reference::RequestHeader(name.to_ascii_lowercase())
        }
        (Err(error), _) => {
            cursor.wrong_expression(&error);
            return None;
        }
    };
    match &reference {
        Reference::RequestBody(_) | Reference::RequestHeader(_) | Reference::RequestQuery(_) => {}
        Reference::BranchResponse { branch, .. } if branches.contains(branch) => {}
        Reference::BranchResponse { branch, .. } => {
            let message = format!("`{reference}`: the route has no branch `{branch}`");
            cursor.wrong_but(message, suggestion(branch, branches.iter().map(String::as_str)));
            return None;
        }
        Reference::RequestParameter(_)
        | Reference::RequestPath
        | Reference::RequestMethod
        | Reference::TransactionId => {
            let message = format!("`{reference}` cannot be kept secret: logs and proxies show it");
            cursor.wrong_but(message, "send what is secret in the body or in a header");
            return None;
        }
    }
    Some(reference.to_string())
}

/// Warns of what is called secret, and is named by nothing that is sent or told: it may be misspelt.
pub fn warn_of_unnamed(cursor: Cursor, plan: &Plan) {
    let unnamed = unanimo_coordinator::unnamed_secrets(plan);
    let cursors = cursor.elements("`secret`").unwrap_or_default();
    for (cursor, path) in cursors.into_iter().zip(&plan.secret) {
        if unnamed.contains(path) {
            let message = format!("nothing that is sent or answered names `{path}`: it hides nothing");
            cursor.notes().unwise(cursor.span(), message, "see that it is spelt as the expressions spell it");
        }
    }
}
