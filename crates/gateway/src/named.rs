//! What a plan's expressions name of a request: nothing else is collected.

use http::HeaderName;
use unanimo_contract::plan::CallPlan;
use unanimo_contract::{Plan, RefusedPlan, ResponsePlan};
use unanimo_expression::{JsonTemplate, Reference, Template};

/// The headers and parameters of the query that a transaction's expressions name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    pub(crate) headers: Vec<HeaderName>,
    pub(crate) query: Vec<String>,
}

impl Named {
    /// Of all texts of a plan. The error is a sentence about one that is no template.
    pub(crate) fn of(plan: &Plan) -> Result<Named, String> {
        let mut named = Named::default();
        for branch in &plan.branches {
            named.note_text(&branch.path)?;
            for (_, text) in branch.paths.iter().chain(&branch.headers) {
                named.note_text(text)?;
            }
            named.note_body(branch.body.as_ref())?;
            if let Some(CallPlan { path, headers, body, .. }) = &branch.compensate {
                named.note_text(path)?;
                headers.iter().try_for_each(|(_, text)| named.note_text(text))?;
                named.note_body(body.as_ref())?;
            }
        }
        let refused = match &plan.refused {
            Some(RefusedPlan::Respond(response)) => Some(response),
            Some(RefusedPlan::PassOn) | None => None,
        };
        for response in plan.respond.iter().chain(refused) {
            named.note_response(response)?;
        }
        Ok(named)
    }

    fn note_response(&mut self, response: &ResponsePlan) -> Result<(), String> {
        for (_, text) in &response.headers {
            self.note_text(text)?;
        }
        self.note_body(response.body.as_ref())
    }

    fn note_text(&mut self, text: &str) -> Result<(), String> {
        let template = Template::parse(text).map_err(|error| error.to_string())?;
        template.references().for_each(|reference| self.note(reference));
        Ok(())
    }

    fn note_body(&mut self, body: Option<&serde_json::Value>) -> Result<(), String> {
        let Some(body) = body else { return Ok(()) };
        let template = JsonTemplate::compile(body).map_err(|error| error.to_string())?;
        template.references().for_each(|reference| self.note(reference));
        Ok(())
    }

    fn note(&mut self, reference: &Reference) {
        match reference {
            Reference::RequestHeader(name) => {
                // What cannot be the name of a header is in no request.
                let name = HeaderName::try_from(name.as_str()).ok();
                self.headers.extend(name.filter(|name| !self.headers.contains(name)));
            }
            Reference::RequestQuery(name) if !self.query.contains(name) => self.query.push(name.clone()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use unanimo_contract::{BranchPlan, plan};

    #[test]
    fn every_text_of_a_plan_is_looked_at() {
        let text = |name: &str| format!("/${{request.headers.{name}}}");
        let response = |name: &str| ResponsePlan {
            status: 200,
            headers: vec![("x".to_owned(), text(&format!("{name}_header")))],
            body: Some(json!({ "x": [text(&format!("{name}_body"))] })),
        };
        let branch = BranchPlan {
            name: "only".to_owned(),
            service: "s".to_owned(),
            path: text("path"),
            paths: vec![("commit".to_owned(), text("own_path"))],
            headers: vec![("x".to_owned(), text("header"))],
            body: Some(
                json!({ "x": "${request.query.q}", "y": "${request.query.r + request.query.q}", "z": 1 }),
            ),
            call_timeout_ms: 1,
            compensate: Some(CallPlan { path: text("undo"), ..CallPlan::default() }),
            ..BranchPlan::default()
        };
        let plan = Plan {
            language: plan::LANGUAGE,
            route: "r".to_owned(),
            mode: "tcc".to_owned(),
            deadline_ms: 1,
            answer_timeout_ms: 1,
            answer_at: plan::AnswerAt::Finished,
            branches: vec![branch],
            respond: Some(response("respond")),
            secret: Vec::new(),
            refused: Some(RefusedPlan::Respond(response("refused"))),
        };
        let named = Named::of(&plan).unwrap();
        let mut headers: Vec<_> = named.headers.iter().map(HeaderName::as_str).collect();
        headers.sort_unstable();
        let answers = ["refused_body", "refused_header", "respond_body", "respond_header"];
        assert_eq!(headers, [&["header", "own_path", "path"][..], &answers, &["undo"]].concat());
        assert_eq!(named.query, ["q", "r"]);
        let broken =
            Plan { respond: Some(ResponsePlan { body: Some(json!("${")), ..response("x") }), ..plan };
        assert!(Named::of(&broken).is_err());
    }
}
